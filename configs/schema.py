"""Walks over the schema's types: what a fault's message and the reference page are made from."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

KeyPath = tuple[str | int, ...]
Model = type[BaseModel]


def show(path: KeyPath) -> str:
    """A key path as people write it.

    >>> show(("stages", 1, "optimizer", "learning_rate"))
    'stages[1].optimizer.learning_rate'
    """
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def bare(annotation: Any) -> Any:
    """The type without the constraints around it."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def options(annotation: Any) -> tuple[Any, ...]:
    """The types a value may have: one, or those of a union, without None."""
    annotation = bare(annotation)
    if get_origin(annotation) not in (Union, types.UnionType):
        return (annotation,)
    return tuple(found for part in get_args(annotation) for found in options(part) if found is not type(None))


def models(annotation: Any) -> tuple[Model, ...]:
    """The parts of a recipe that a value of this type may be, through unions and lists."""
    found: list[Model] = []
    for option in options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            found.append(option)
        elif get_origin(option) is tuple:
            found.extend(model for part in get_args(option) if part is not Ellipsis for model in models(part))
    return tuple(found)


def tags(model: Model) -> tuple[str, ...]:
    """What may stand at `type` for a value to be this member of its union; none for a part without one."""
    field = model.model_fields.get("type")
    return get_args(field.annotation) if field is not None and get_origin(field.annotation) is Literal else ()


def member(annotation: Any, tag: str | int) -> Model | None:
    """The member of a union that a tag names."""
    return next((model for model in models(annotation) if tag in tags(model)), None)


def child(annotation: Any, step: str | int) -> Any:
    """Type of a field of a model, or of an element of a list; None where the schema says nothing."""
    for option in options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel) and step in option.model_fields:
            return option.model_fields[str(step)].annotation
        if get_origin(option) is tuple and isinstance(step, int):
            parts = [part for part in get_args(option) if part is not Ellipsis]
            return parts[min(step, len(parts) - 1)]
    return None


def below(model: Model, seen: frozenset[Model] = frozenset()) -> Iterator[tuple[str, str]]:
    """(dotted key, last name) of every field in the parts below a model, not through lists, nor in itself again."""
    for name, field in model.model_fields.items():
        for option in options(field.annotation):
            if isinstance(option, type) and issubclass(option, BaseModel) and option not in seen:
                yield from ((f"{name}.{inner}", inner) for inner in option.model_fields)
                yield from ((f"{name}.{inner}", last) for inner, last in below(option, seen | {model, option}))
