"""The parts of a policy that recipes speak of, and the names of their parameters."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

COMPONENTS: dict[str, tuple[str, ...]] = {
    "vision": ("vision_model", "model.vision_tower", "model.visual"),
    "connector": (
        "mlp1",
        "model.multi_modal_projector",
        "model.visual.merger",
        "model.visual.deepstack_merger_list",
    ),
    "language": ("language_model", "model", "lm_head"),
}
"""Prefixes by part, of SAIL-VL2 and of the other families; the longest that fits a name says where it belongs.

The language model of a text policy is the whole policy: `model` and `lm_head`.
"""


def belongs(name: str, part: str) -> bool:
    """Whether the parameter `name` belongs to a part: one of `COMPONENTS`, or a prefix, in which * stands for anything.

    >>> belongs("mlp1.0.weight", "connector"), belongs("mlp1.0.weight", "mlp1"), belongs("mlp1.0.weight", "mlp")
    (True, True, False)
    >>> belongs("model.layers.3.mlp.up_proj.weight", "*_proj"), belongs("model.norm.weight", "*_proj")
    (True, False)
    """
    if part in COMPONENTS:
        return component(name) == part
    return fnmatchcase(f"{name}.", f"{part.rstrip('.')}.*")


def component(name: str) -> str | None:
    """The part that a parameter belongs to, if it is of one that has a name.

    >>> component("model.visual.merger.norm.weight"), component("model.visual.pos_embed.weight")
    ('connector', 'vision')
    """
    fitting = [
        (len(prefix), part)
        for part, prefixes in COMPONENTS.items()
        for prefix in prefixes
        if f"{name}.".startswith(f"{prefix}.")
    ]
    return max(fitting)[1] if fitting else None


def frozen(name: str, parts: Iterable[str]) -> bool:
    """Whether a recipe that freezes these parts leaves the parameter untrained."""
    return any(belongs(name, part) for part in parts)
