"""Overrides: `key.path=value` on the command line, put into a recipe before it is validated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from configs.faults import literal, nearest
from configs.recipe import Recipe
from configs.schema import KeyPath, show
from configs.text import read_text
from halyard.errors import ConfigError


def override(values: dict[str, Any], text: str) -> KeyPath:
    """Change a recipe's plain values in place; the path of the changed key comes back.

    Elements of lists go by index, or by their name where they have one; a stage's name may stand first:
    `stages.1.steps=5`, `stages.verifiable-rl.steps=5` and `verifiable-rl.steps=5` are the same. A `path`
    that is there, seen from the current folder, is made absolute: in a recipe paths are relative to its folder.

    Raises:
        ConfigError: the override has no `=`, no such element, or a value that is not YAML.
    """
    key, equals, written = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"the override {text!r} has the wrong form, expected KEY=VALUE, as in cluster.engine.cpus=2")
    value = read_text(written, f"override {text}").value
    path = _path(values, re.sub(r"\[(\d+)\]", r".\1", key.strip()), text)
    if path[-1] == "path" and isinstance(value, str) and any(Path().glob(value) if value[:1] not in "/~" else ()):
        value = str(Path.cwd() / value)
    _put(values, path, value, text)
    return path


def _path(values: dict[str, Any], key: str, text: str) -> KeyPath:
    """Key path of a dotted key."""
    stages = values.get("stages")
    first = key.partition(".")[0]
    if first not in Recipe.model_fields:
        names = _names(stages)
        if not any(key == name or key.startswith(f"{name}.") for name in names):
            known = [*Recipe.model_fields, *names]
            hint = nearest(first, known) or f"; known here: {', '.join(known)}"
            raise ConfigError(f"override {text}: {first} is neither a key of recipes nor a stage{hint}")
        key = f"stages.{key}"
    path: KeyPath = ()
    node: Any = values
    while key:
        step, key = _step(node, key, path, text)
        path = (*path, step)
        node = _child(node, step)
    return path


def _step(node: Any, key: str, path: KeyPath, text: str) -> tuple[str | int, str]:
    """The next step of a dotted key, and what is left of it."""
    first, _, rest = key.partition(".")
    if not isinstance(node, list):
        return first, rest
    names = _names(node)
    for name in sorted(names, key=len, reverse=True):
        if key == name or key.startswith(f"{name}."):
            return names[name], key[len(name) + 1 :]
    if first.isdecimal() and int(first) < len(node):
        return int(first), rest
    hint = nearest(first, names)
    there = f"the names {', '.join(names)}" if names else f"the indices 0 to {len(node) - 1}"
    raise ConfigError(f"override {text}: {show(path)} has no element {first}, expected one of {there}{hint}")


def _names(elements: Any) -> dict[str, int]:
    """Index by name of a list's elements."""
    if not isinstance(elements, list):
        return {}
    return {e["name"]: i for i, e in enumerate(elements) if isinstance(e, dict) and isinstance(e.get("name"), str)}


def _child(node: Any, step: Any) -> Any:
    return node.get(step) if isinstance(node, dict) else node[step] if isinstance(node, list) else None


def _put(values: dict[str, Any], path: KeyPath, value: Any, text: str) -> None:
    """Set the value at a path, making the groups on the way that the recipe leaves to their defaults."""
    node: Any = values
    for depth, step in enumerate(path[:-1], start=1):
        inner = _child(node, step)
        if inner is None:
            inner = node[step] = {}
        if not isinstance(inner, dict | list):
            raise ConfigError(f"override {text}: {show(path[:depth])} is {literal(inner)} and has no keys of its own")
        node = inner
    node[path[-1]] = value
