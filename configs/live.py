"""Keys of a recipe that can be changed while a run goes on: which they are, and a recipe with one of them changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from configs.checks import contradictions
from configs.faults import Origins, describe, nearest, refuse
from configs.recipe import Recipe
from configs.stages import RlStage, SftStage, Stage
from halyard.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKey:
    """A key of a stage that can be changed while it runs, with its value and what it means."""

    key: str
    value: Any
    meaning: str


def is_live(field: FieldInfo) -> bool:
    """Whether the schema marks a field as live."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get("live") is True


def live_keys(stage: Stage) -> list[LiveKey]:
    """What can be changed while a stage runs; nothing in stages that only make data."""
    return list(_below(stage, "")) if isinstance(stage, RlStage | SftStage) else []


def changed(recipe: Recipe, stage: str, key: str, value: Any) -> Recipe:
    """The recipe with a live key of a stage changed: valid as a whole, or refused.

    Raises:
        ConfigError: there is no such stage, the key is not live, or the value is wrong there.
    """
    numbers = {one.name: index for index, one in enumerate(recipe.stages)}
    if stage not in numbers:
        raise ConfigError(f"the recipe {recipe.name} has no stage {stage}, expected one of {', '.join(numbers)}")
    key = re.sub(r"\[(\d+)\]", r".\1", key.strip()).removeprefix(f"{stage}.")
    known = [one.key for one in live_keys(recipe.stages[numbers[stage]])]
    if key not in known:
        there = f"; what can is {', '.join(known)}" if known else ": it has no keys that can"
        raise ConfigError(f"{key} of {stage} cannot be changed while the run goes on{nearest(key, known)}{there}")
    path = ("stages", numbers[stage], *(int(step) if step.isdecimal() else step for step in key.split(".")))
    values = recipe.model_dump(mode="json")
    node: Any = values
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    origins = Origins({(): "the change"})
    try:
        new = Recipe.model_validate(values)
    except ValidationError as error:
        refuse(describe(error.errors(), Recipe), origins)
        raise
    refuse(contradictions(new), origins)
    return new


def _below(part: BaseModel, prefix: str) -> Iterator[LiveKey]:
    for name, field in type(part).model_fields.items():
        key, value = prefix + name, getattr(part, name)
        if is_live(field):
            yield LiveKey(key=key, value=value, meaning=_meaning(part, name, field))
        inner = value if isinstance(value, tuple) else (value,)
        for index, one in enumerate(inner):
            if isinstance(one, BaseModel):
                yield from _below(one, f"{key}.{index}." if isinstance(value, tuple) else f"{key}.")


def _meaning(part: BaseModel, name: str, field: FieldInfo) -> str:
    """The field's description; of a reward's weight, the term's name first."""
    text = " ".join((field.description or "").split())
    component = getattr(part, "label", None) or getattr(part, "component", None)
    return f"{component}: {text}" if name == "weight" and component else text
