"""Learning rates, as a pure function of the step."""

from __future__ import annotations

import math

from configs.training import OptimizerConfig

WSD_DECAY = 0.2
"""Share of the steps over which `wsd` falls (Hu et al., MiniCPM, arXiv 2404.06395, section 4)."""


def learning_rate(config: OptimizerConfig, *, step: int, steps: int) -> float:
    """The rate of the optimiser step that follows `step` steps already taken, of `steps` in all.

    It rises linearly to the peak, which the last warm-up step has, then follows the schedule; the last
    step has `min_share` of the peak, and so have steps beyond it.
    """
    number = step + 1
    if number <= config.warmup_steps:
        return config.learning_rate * number / config.warmup_steps
    start = config.warmup_steps
    if config.schedule == "wsd":
        start = max(start, steps - math.ceil(WSD_DECAY * steps))
    way = min(1.0, max(0.0, (number - start) / max(1, steps - start)))
    return config.learning_rate * (config.min_share + (1 - config.min_share) * _share_left(config.schedule, way))


def _share_left(schedule: str, way: float) -> float:
    """From 1 at the beginning of the decay (`way` = 0) to 0 at its end (`way` = 1)."""
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * way))
    return 1 - way
