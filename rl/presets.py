"""Published algorithms as rows of one table, and the algorithm that a recipe means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from configs.algorithm import AlgorithmConfig, Preset


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """`AlgorithmConfig` with nothing left open; `configs/algorithm.py` says what each field means.

    >>> resolve(AlgorithmConfig(preset="dapo", clip_high=0.3)).clip_high
    0.3
    """

    advantage: Literal["group_mean", "group_mean_std"]
    ratio: Literal["token", "sequence"]
    clip_low: float
    clip_high: float
    aggregation: Literal["token_mean", "sequence_mean"]
    kl_coef: float
    drop_groups_without_signal: bool
    overlong: Literal["keep", "mask"]
    correction: Literal["none", "truncated"]
    correction_cap: float
    updates_per_step: int


PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    # DeepSeekMath, arXiv 2402.03300: eq. 3 (objective), eq. 4 (KL estimator), §4.1.2 (advantage), §4.2 (0.04)
    "grpo": {
        "advantage": "group_mean_std",
        "ratio": "token",
        "clip_low": 0.2,
        "clip_high": 0.2,
        "aggregation": "sequence_mean",
        "kl_coef": 0.04,
        "drop_groups_without_signal": False,
        "overlong": "keep",
    },
    # DAPO, arXiv 2503.14476: eq. 8-9; §3.1 (clip higher), §3.2 (dynamic sampling), §3.3 (tokens), §3.4 (overlong)
    "dapo": {
        "advantage": "group_mean_std",
        "ratio": "token",
        "clip_low": 0.2,
        "clip_high": 0.28,
        "aggregation": "token_mean",
        "kl_coef": 0.0,
        "drop_groups_without_signal": True,
        "overlong": "mask",
    },
    # GSPO, arXiv 2507.18071: eq. 5-7; §5.1 (clipping)
    "gspo": {
        "advantage": "group_mean_std",
        "ratio": "sequence",
        "clip_low": 3e-4,
        "clip_high": 4e-4,
        "aggregation": "sequence_mean",
        "kl_coef": 0.0,
        "drop_groups_without_signal": False,
        "overlong": "keep",
    },
}


def resolve(config: AlgorithmConfig) -> Algorithm:
    """The algorithm that a recipe means: its own fields, and the preset's row for those it leaves out."""
    named = {name: value for name, value in config.model_dump(exclude={"preset"}).items() if value is not None}
    return Algorithm(**{**PRESETS[config.preset], **named})
