"""What is wrong with a recipe, said so that the reader can put it right: where, found, expected, nearest name."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from configs.schema import KeyPath, Model, below, child, member, models, show, tags
from halyard.errors import ConfigError

EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
    "finite_number": "a finite number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "literal_error": "{expected}",
    "pattern_regex": "a regular expression",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "a name of lower-case letters, digits and any of - _ . after the first",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: `message` goes on from the key path, as in "… is -1, expected at least 0"."""

    path: KeyPath
    message: str


@dataclass(frozen=True, slots=True)
class Origins:
    """Where each key was written: FILE:LINE, or the override on the command line."""

    places: Mapping[KeyPath, str]

    def written(self, path: KeyPath) -> KeyPath:
        """The key itself, or the nearest one around it that was written."""
        while path and path not in self.places:
            path = path[:-1]
        return path


def refuse(faults: Iterable[Fault], origins: Origins) -> None:
    """Nothing when there are no faults.

    Raises:
        ConfigError: all faults, a line each, in the order of the file.
    """
    order = list(origins.places)
    lines = [
        f"{origins.places[origins.written(fault.path)]}: {show(fault.path)} {fault.message}"
        for fault in sorted(faults, key=lambda fault: order.index(origins.written(fault.path)))
    ]
    if lines:
        raise ConfigError("\n".join(lines))


def nearest(word: object, names: Iterable[str]) -> str:
    """The clause that offers the nearest valid name; empty when none is near."""
    found = difflib.get_close_matches(str(word), list(names), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def describe(errors: Sequence[ErrorDetails], schema: Model) -> list[Fault]:
    """Pydantic's findings about a recipe as faults, in the recipe's own words."""
    faults = []
    for error in errors:
        path, owner = _locate(error["loc"], schema)
        if (message := _message(error, path, owner)) is not None:
            faults.append(Fault(path, message))
    return faults


def _locate(loc: tuple[str | int, ...], schema: Model) -> tuple[KeyPath, Any]:
    """Key path of a finding, without the tags of unions, and the type that holds its last key."""
    path: list[str | int] = []
    annotation: Any = schema
    owner: Any = None
    for step in loc:
        chosen = member(annotation, step) if len(models(annotation)) > 1 else None
        if chosen is not None:
            annotation = chosen
        else:
            path.append(step)
            owner, annotation = annotation, child(annotation, step)
    return tuple(path), owner


def _message(error: ErrorDetails, path: KeyPath, owner: Any) -> str | None:
    """What to say of one finding; None for one that only follows from another."""
    kind, context, found = error["type"], error.get("ctx", {}), error["input"]
    if kind == "too_short" and len(found) >= context["min_length"]:
        return None  # the elements are there, but wrong, and each has a finding of its own
    if kind == "extra_forbidden":
        return _unknown(str(path[-1]), models(owner))
    if kind == "missing":
        return "is missing" + _wanted(owner, path[-1])
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_tag(context)
    if kind == "value_error":
        return f"is wrong: {context['error']}"
    expected = EXPECTED[kind].format(**context) if kind in EXPECTED else error["msg"]
    near = nearest(found, re.findall(r"'([^']*)'", expected)) if kind == "literal_error" else ""
    return f"is {literal(found)}, expected {expected.replace(chr(39), '')}{near}"


def _unknown(key: str, owners: Sequence[Model]) -> str:
    names = [name for owner in owners for name in owner.model_fields]
    hint = nearest(key, names)
    if not hint:
        inner = {last: dotted for owner in owners for dotted, last in below(owner)}
        close = difflib.get_close_matches(key, list(inner), n=1, cutoff=0.8)
        hint = f"; did you mean {inner[close[0]]}?" if close else f"; known here: {', '.join(names)}"
    return f"is not a known key{hint}"


def _wanted(owner: Any, key: str | int) -> str:
    if isinstance(key, int):
        return ": the list is too short"
    choices = tags(models(owner)[0]) if key == "type" else ()
    return f", expected {' or '.join(choices)}" if choices else ""


def _wrong_tag(context: Mapping[str, Any]) -> str:
    if "tag" not in context:
        return "has no type: say which kind it is, as in type: NAME"
    valid = re.findall(r"'([^']*)'", context["expected_tags"])
    return f"has type {context['tag']}, expected {', '.join(valid)}{nearest(context['tag'], valid)}"


def literal(value: object) -> str:
    """A value as it would be written in YAML, shortened."""
    if isinstance(value, dict):
        return "a group of keys"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None:
        return "empty"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
