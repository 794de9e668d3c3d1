"""JSON schemas of answers: those that never end or cost too much are refused before a grammar is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from serving.errors import Refusal

_DEEPEST = 32
_LARGEST = 4096
_CHAINS = ("$ref", "allOf", "anyOf", "oneOf")
"""Keys whose schemas say what this very value is, and not a part of it."""


def check_schema(schema: Mapping[str, Any]) -> None:
    """Nothing, when a grammar can be made of a schema.

    Raises:
        Refusal: it is too deep or too large, refers to something outside, to nothing, or to itself without end.
    """
    nodes = list(_nodes(schema))
    if len(nodes) > _LARGEST:
        raise _refusal(f"has more than {_LARGEST} parts")
    for node in nodes:
        if isinstance(node, Mapping):
            _check_chain(schema, node)


def _nodes(root: Any) -> Iterator[Any]:
    """Every value in a schema, without recursion."""
    stack = [(root, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > _DEEPEST:
            raise _refusal(f"is nested more than {_DEEPEST} deep")
        yield node
        inner = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
        stack += [(part, depth + 1) for part in inner]


def _check_chain(root: Mapping[str, Any], start: Mapping[str, Any]) -> None:
    """Follow what a value must be, from reference to reference, which must end somewhere."""
    path: list[int] = []
    stack: list[tuple[Any, int]] = [(start, 0)]
    steps = 0
    while stack:
        node, depth = stack.pop()
        del path[depth:]
        steps += 1
        if id(node) in path:
            raise _refusal("refers to itself without end")
        if steps > _LARGEST:
            raise _refusal("has too many references")
        path.append(id(node))
        stack += [(part, depth + 1) for part in _same_value(root, node)]


def _same_value(root: Mapping[str, Any], node: Any) -> list[Any]:
    if not isinstance(node, Mapping):
        return []
    found: list[Any] = []
    for key in _CHAINS:
        value = node.get(key)
        if key == "$ref" and isinstance(value, str):
            found.append(_target(root, value))
        elif isinstance(value, list):
            found += [part for part in value if isinstance(part, Mapping)]
    return found


def _target(root: Mapping[str, Any], reference: str) -> Any:
    if reference != "#" and not reference.startswith("#/"):
        raise _refusal(
            f"refers to {reference[:100]!r}; only references within itself, such as #/$defs/item, are followed"
        )
    node: Any = root
    for step in reference[2:].split("/") if reference != "#" else ():
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, Mapping) or key not in node:
            raise _refusal(f"refers to {reference[:100]!r}, which is not in it")
        node = node[key]
    return node


def _refusal(what: str) -> Refusal:
    return Refusal(400, f"the JSON schema {what}", param="response_format.json_schema.schema", code="invalid_schema")
