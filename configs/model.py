"""Which policy a recipe starts from."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from configs.base import Config

TinySize = Literal["nano", "micro", "micro-tiles", "micro-native", "micro-moe"]


class ModelConfig(Config):
    """A policy built at random in a tiny size, or loaded from a folder: exactly one of the two."""

    build: TinySize | None = None
    """Build a tiny SAIL-VL2-shaped policy with random weights and a tokenizer of its own; micro also in the variants
    that cut images into tiles, that see them at their native size, and that are a mixture of experts."""
    path: str | None = None
    """A model folder in Hugging Face format, a Halyard snapshot, or a SAIL-VL2 as it was released."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.build is None) == (self.path is None):
            raise ValueError("give exactly one of build (nano, micro, ...) and path (a model folder)")
        return self
