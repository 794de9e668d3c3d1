"""What both trainers share: the optimiser, its schedule, checkpoints."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs.base import LIVE, Config, Count, Natural, NonNegative, Positive, Share

Beta = Annotated[NonNegative, Field(lt=1)]


class PartRates(Config):
    """Peak learning rates of parts of a vision-language policy; those left out have the optimizer's."""

    vision: Positive | None = None
    """Peak learning rate of the vision tower."""
    connector: Positive | None = None
    """Peak learning rate of the adapter between tower and language model."""
    language: Positive | None = None
    """Peak learning rate of the language model."""


class OptimizerConfig(Config):
    """AdamW and its learning-rate schedule (Loshchilov & Hutter, arXiv 1711.05101)."""

    learning_rate: Annotated[Positive, LIVE] = 1e-6
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
    """Parts of the policy that are not trained: vision, connector, language, or a prefix of their parameters' names, in
    which * stands for anything: `"*_proj"` and `"*embed_tokens"` leave the norms alone to be trained."""
    rates: PartRates = PartRates()
    """Learning rates of parts of the policy that differ; schedule and warm-up are the same for all."""
    load_balance: NonNegative = 0.001
    """Weight of the load-balancing loss of a mixture of experts; a dense policy has none."""

    @model_validator(mode="after")
    def _rates_of_what_is_trained(self) -> Self:
        for part, rate in self.rates:
            if rate is not None and part in self.freeze:
                raise ValueError(f"rates.{part} is {rate:g}, but freeze has {part}: take one of the two out")
        return self


class CheckpointConfig(Config):
    """When a stage writes what a resume needs."""

    every: Count = 20
    """Optimiser steps between checkpoints; one is always written at the end."""
