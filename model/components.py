"""The parts of a policy that recipes speak of, and the names of their parameters."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

COMPONENTS: dict[str, tuple[str, ...]] = {
    "vision": ("vision_model",),
    "connector": ("mlp1",),
    "language": ("language_model", "model", "lm_head"),
}
"""Prefixes by part. The language model of a text policy is the whole policy: `model` and `lm_head`."""


def belongs(name: str, part: str) -> bool:
    """Whether the parameter `name` belongs to a part: one of `COMPONENTS`, or a prefix, in which * stands for anything.

    >>> belongs("mlp1.0.weight", "connector"), belongs("mlp1.0.weight", "mlp1"), belongs("mlp1.0.weight", "mlp")
    (True, True, False)
    >>> belongs("model.layers.3.mlp.up_proj.weight", "*_proj"), belongs("model.norm.weight", "*_proj")
    (True, False)
    """
    prefixes = COMPONENTS.get(part, (part.rstrip("."),))
    return any(fnmatchcase(f"{name}.", f"{prefix}.*") for prefix in prefixes)


def component(name: str) -> str | None:
    """The part that a parameter belongs to, if it is of one that has a name."""
    return next((part for part in COMPONENTS if belongs(name, part)), None)


def frozen(name: str, parts: Iterable[str]) -> bool:
    """Whether a recipe that freezes these parts leaves the parameter untrained."""
    return any(belongs(name, part) for part in parts)
