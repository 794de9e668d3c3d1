"""Advantages of the answers to one prompt over each other (pure functions on lists of numbers)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Literal

Estimator = Literal["group_mean", "group_mean_std"]
TOLERANCE = 1e-6
"""Rewards closer than this are equal: weighted sums of the same verdicts differ in their last bits."""


def all_equal(rewards: Sequence[float]) -> bool:
    """Whether the rewards of a group say nothing about which answer is better."""
    return max(rewards) - min(rewards) <= TOLERANCE


def group_mean(rewards: Sequence[float]) -> list[float]:
    """Reward minus the group's mean.

    Source: Dr. GRPO, arXiv 2503.20783, §3.2 (GRPO without the division by the standard deviation).

    >>> group_mean([1.0, 0.0, 0.0, 0.0])
    [0.75, -0.25, -0.25, -0.25]
    """
    mean = fmean(rewards)
    return [reward - mean for reward in rewards]


def group_mean_std(rewards: Sequence[float]) -> list[float]:
    """Reward minus the group's mean, over the group's standard deviation.

    Source: DeepSeekMath, arXiv 2402.03300, §4.1.2. The paper does not say which deviation; this is the
    sample's (n - 1), as in the programs its authors and DAPO's published or built on.

    >>> group_mean_std([1.0, 0.0, 0.0, 0.0])
    [1.5, -0.5, -0.5, -0.5]
    """
    deviation = stdev(rewards)
    return [centred / deviation for centred in group_mean(rewards)]


ESTIMATORS: Mapping[Estimator, Callable[[Sequence[float]], list[float]]] = {
    "group_mean": group_mean,
    "group_mean_std": group_mean_std,
}


def advantages(rewards: Sequence[float | None], estimator: Estimator) -> list[float | None]:
    """Advantages by rollout, computed over those that were judged; None for the others.

    All are None where fewer than two were judged (nothing to compare with), and 0 where all judged
    rewards are equal.

    >>> advantages([1.0, None, 0.0, 0.0, 0.0], "group_mean_std")
    [1.5, None, -0.5, -0.5, -0.5]
    """
    judged = [reward for reward in rewards if reward is not None]
    if len(judged) < 2:
        return [None] * len(rewards)
    values = iter([0.0] * len(judged) if all_equal(judged) else ESTIMATORS[estimator](judged))
    return [None if reward is None else next(values) for reward in rewards]
