"""The table of RL algorithms: every choice is a field, every published algorithm a row of presets.

A recipe names a preset (`grpo`, `dapo`, `gspo`) and may set any field beside it. What a preset fills
in is exactly the fields that the recipe does not name; see `rl/presets.py` for the rows and papers.
"""

from __future__ import annotations

from typing import Annotated, Literal

from configs.base import LIVE, Config, Count, Flag, NonNegative, Positive

Preset = Literal["grpo", "dapo", "gspo"]


class AlgorithmConfig(Config):
    """How verdicts become a gradient. Fields left out (None) come from the preset."""

    preset: Preset = "dapo"
    """The published algorithm that fills in what is left out; docs/papers.md has their settings."""
    advantage: Literal["group_mean", "group_mean_std"] | None = None
    """Reward minus the group's mean; divided by the group's standard deviation or not."""
    ratio: Literal["token", "sequence"] | None = None
    """Importance ratio per token, or one per sequence (the geometric mean of its tokens')."""
    clip_low: Positive | None = None
    """The ratio is clipped below 1 - clip_low."""
    clip_high: Positive | None = None
    """The ratio is clipped above 1 + clip_high."""
    aggregation: Literal["token_mean", "sequence_mean"] | None = None
    """Mean over all tokens of the step, or of each sequence's mean."""
    kl_coef: Annotated[NonNegative | None, LIVE] = None
    """Weight of the KL penalty to a frozen reference (the policy at the stage's start); 0 keeps none."""
    drop_groups_without_signal: Flag | None = None
    """Whether groups whose rewards are all equal are dropped and refilled with other prompts."""
    overlong: Literal["keep", "mask"] | None = None
    """What becomes of answers cut at the token limit: trained on, or left out of the loss."""
    correction: Literal["none", "truncated"] = "none"
    """Whether tokens are weighted by the ratio of learner to engine probability, cut at correction_cap."""
    correction_cap: Positive = 2.0
    """Largest weight that a correction gives a token."""
    updates_per_step: Count = 1
    """Optimiser steps (mini-batches) that one step's rollouts are cut into."""
