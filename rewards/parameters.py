"""The parameters of a reward: what its function takes beside the sample, described, and checked when set."""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from pydantic import ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

from configs.document import in_words
from configs.faults import EXPECTED, literal, nearest
from halyard.errors import ConfigError, RewardError

_DOCUMENTED = re.compile(r"^(\s+)\*{0,2}(\w+)(?:\s*\([^)]*\))?:\s*(.*)$")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter for people to read: its type and default in words; `default` is None without one."""

    name: str
    type: str
    default: str | None
    doc: str


def settable(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """What a recipe may set: the named parameters behind the first, which is the sample."""
    return nameable(function, behind=1)


def nameable(function: Callable[..., Any], behind: int) -> list[inspect.Parameter]:
    """The parameters behind the first few that can be given by name."""
    parameters = list(inspect.signature(function).parameters.values())[behind:]
    return [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]


def takes_any(function: Callable[..., Any]) -> bool:
    """Whether a function takes keywords that it does not name."""
    return any(one.kind is one.VAR_KEYWORD for one in inspect.signature(function).parameters.values())


def describe(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> tuple[Parameter, ...]:
    """The parameters with what the docstring's `Args:` says of them."""
    docs = documented(inspect.getdoc(function) or "")
    return tuple(Parameter(one.name, *_in_words(function, one), docs.get(one.name, "")) for one in parameters)


def _in_words(function: Callable[..., Any], one: inspect.Parameter) -> tuple[str, str | None]:
    """Type and default of a parameter; as they are written in Python where there are no words for the type."""
    default = None if one.default is one.empty else one.default
    try:
        kind = _types(function, [one.name], one.name)[one.name]
        said, value = in_words(FieldInfo.from_annotated_attribute(kind, default))
    except (KeyError, RewardError):
        said = "" if one.annotation is one.empty else _written(one.annotation)
        value = repr(default)
    return said, None if one.default is one.empty else value


def documented(docstring: str) -> dict[str, str]:
    r"""The parameters that a docstring in Google's style describes, each on one line.

    >>> documented("A reward.\n\nArgs:\n    limit: most tokens,\n        all told\n    scale (float): a factor\n")
    {'limit': 'most tokens, all told', 'scale': 'a factor'}
    """
    _, _, section = docstring.partition("Args:\n")
    found: dict[str, str] = {}
    name, indent = "", 0
    for line in section.splitlines():
        if not line.strip() or not line[0].isspace():
            break
        start = _DOCUMENTED.match(line)
        if start and (not name or len(start[1]) <= indent):
            indent, name = len(start[1]), start[2]
            found[name] = start[3]
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def _written(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def checked(
    function: Callable[..., Any], parameters: list[inspect.Parameter], given: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """The given values as the function's signature types them.

    Raises:
        ConfigError: one is unknown, missing or of another type.
        RewardError: the type of one cannot be found.
    """
    types = _types(function, [one.name for one in parameters], where)
    fields: dict[str, Any] = {
        one.name: (types.get(one.name, Any), ... if one.default is one.empty else one.default) for one in parameters
    }
    model = create_model(where, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **fields)
    try:
        found = model.model_validate_json(json.dumps(dict(given)), strict=True)
    except ValidationError as error:
        raise ConfigError(_complaint(error, where, list(fields))) from error
    return {name: getattr(found, name) for name in given}


def _types(function: Callable[..., Any], names: list[str], where: str) -> dict[str, Any]:
    annotations = {name: value for name, value in function.__annotations__.items() if name in names}
    try:
        return typing.get_type_hints(
            SimpleNamespace(__annotations__=annotations), globalns=function.__globals__, include_extras=True
        )
    except NameError as error:
        raise RewardError(f"{where}: the type of a parameter cannot be found: {error}") from error


def _complaint(error: ValidationError, where: str, names: list[str]) -> str:
    first = error.errors()[0]
    parameter = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = f"; it takes {', '.join(names)}" if names else "; it takes none"
        return f"{where}: has no parameter {parameter}{nearest(parameter, names) or known}"
    if first["type"] == "missing":
        return f"{where}: its parameter {parameter} is missing and has no default"
    expected = EXPECTED.get(first["type"], first["msg"]).format(**first.get("ctx", {}))
    return f"{where}: its parameter {parameter} is {literal(first['input'])}, expected {expected}"
