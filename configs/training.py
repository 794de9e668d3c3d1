"""What both trainers share: the optimiser, its schedule, checkpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.base import Config, Count, Natural, NonNegative, Positive, Share

Beta = Annotated[NonNegative, Field(lt=1)]


class OptimizerConfig(Config):
    """AdamW and its learning-rate schedule (Loshchilov & Hutter, arXiv 1711.05101)."""

    learning_rate: Positive = 1e-6
    """Peak learning rate."""
    schedule: Literal["constant", "linear", "cosine", "wsd"] = "constant"
    """How the rate falls after the warm-up; wsd holds it and falls linearly over the last fifth."""
    warmup_steps: Natural = 0
    """Optimiser steps over which the rate rises linearly from zero."""
    min_share: Share = 0.0
    """The rate at the last step, as a share of the peak."""
    betas: tuple[Beta, Beta] = (0.9, 0.95)
    """Decay rates of the two moments."""
    eps: Positive = 1e-8
    """Added to the denominator."""
    weight_decay: NonNegative = 0.0
    """Decoupled weight decay; never on biases and norms."""
    max_grad_norm: Positive = 1.0
    """The gradient's global norm is clipped to this."""
    freeze: tuple[str, ...] = ()
    """Parts of the policy that are not trained, by the prefix of their parameters' names."""


class CheckpointConfig(Config):
    """When a stage writes what a resume needs."""

    every: Count = 20
    """Optimiser steps between checkpoints; one is always written at the end."""
