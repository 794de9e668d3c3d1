"""How sure a measured rate is, when several samples of one prompt are not independent; and pass@k."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, variance

Z95 = 1.959963984540054


def pass_at_k(n: int, c: int, k: int) -> float:
    """The unbiased estimate of the chance that at least one of k samples is right, given c right of n.

    Source: Chen et al. 2021 (arXiv 2107.03374), equation 1.

    >>> pass_at_k(4, 1, 2)
    0.5

    Raises:
        ValueError: not 0 <= c <= n, or not 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@{k} cannot be estimated from {c} right of {n} samples")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def wilson(rate: float, n: float) -> tuple[float, float]:
    """The 95 % score interval of a rate over n independent trials (n may be an effective size).

    Source: Wilson 1927, with Agresti & Coull 1998 on why not the normal approximation.
    """
    if n <= 0:
        return 0.0, 1.0
    z2 = Z95 * Z95 / n
    middle = (rate + z2 / 2) / (1 + z2)
    half = Z95 / (1 + z2) * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def rate_interval(rates: Sequence[float], samples: int) -> tuple[float, float, float]:
    """(mean, low, high) of the rates of prompts, `samples` answers in all, at 95 %.

    Wilson's interval at the effective number of samples: the one whose binomial variance is that of the mean
    over prompts (cluster-robust). It lies between the number of prompts, all samples of one being alike, and
    the number of samples, all being independent; with one sample a prompt both are the same.
    """
    if not rates:
        return 0.0, 0.0, 1.0
    rate = mean(rates)
    low, high = wilson(rate, _effective(rates, rate, samples))
    return rate, low, high


def _effective(rates: Sequence[float], rate: float, samples: int) -> float:
    """The effective number of samples; that of prompts where the data do not say how alike samples are."""
    prompts = len(rates)
    binomial = rate * (1 - rate)
    if prompts < 2 or binomial <= 0:
        return prompts
    spread = variance(rates, rate) / prompts
    return samples if spread * samples <= binomial else max(binomial / spread, prompts)
