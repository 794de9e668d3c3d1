"""All rewards that can be named: those that ship, those of installed packages, and those of a file."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from configs.document import in_words
from configs.faults import nearest
from configs.judge import JudgeTerm
from configs.rubric import Rubric, is_shipped, load_rubric, shipped
from configs.term import BaseTerm
from halyard.errors import ConfigError, HalyardError
from rewards.adapters import foreign
from rewards.parameters import Parameter, describe, settable
from rewards.registry import Form, load_module, mark_of, rewards_in

GROUP = "halyard.rewards"
"""Entry-point group under which other packages ship rewards: `NAME = "package.module:function"`."""
SHIPPED: dict[str, str] = {
    # how a response is written
    "format": "rewards.verifiers.format:structure",
    "language": "rewards.verifiers.language:language",
    "repetition": "rewards.verifiers.repetition:repetition",
    "decision": "rewards.verifiers.decision:decision",
    "overlong": "rewards.verifiers.length:overlong",
    # answers of mathematics and science
    "math": "rewards.verifiers.answers:math",
    "stem": "rewards.verifiers.answers:stem",
    # answers as text
    "choice": "rewards.verifiers.choice:choice",
    "exact": "rewards.verifiers.text:exact",
    "regex": "rewards.verifiers.text:pattern",
    # programs
    "code": "rewards.verifiers.code:code",
    # answers about images
    "anls": "rewards.verifiers.documents:anls",
    "box_iou": "rewards.verifiers.grounding:box_iou",
    "counting": "rewards.verifiers.counting:counting",
    "point_in_box": "rewards.verifiers.grounding:point_in_box",
    "relaxed_accuracy": "rewards.verifiers.charts:relaxed_accuracy",
}
"""Module and function of every reward that ships, by its name."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reward is: a module or a file, and the function in it; `whose` is it for people to read."""

    name: str
    path: str
    function: str
    whose: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A reward as it is listed. `fault` says why it cannot be used, and is empty when it can."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    form: Form
    where: str
    fault: str = ""


def entries() -> list[Entry]:
    """All rewards that ship or are installed, by name; a package that cannot be imported has a fault."""
    found = [*map(_entry, _places()), *(_judged(name, rubric) for name, rubric in shipped().items())]
    return sorted(found, key=lambda entry: (entry.where.startswith("package"), entry.name))


def entry(reference: str, root: Path = Path()) -> Entry:
    """What is listed of one reward, found as `find` finds it, or by the name of a rubric."""
    if is_shipped(reference):
        return _judged(reference, load_rubric(reference))
    return _entry(find(reference, root), root)


def find(reference: str, root: Path = Path()) -> Place:
    """Where a reward is, by its name, as FILE.py (with one reward in it), FILE.py:FUNCTION or MODULE:FUNCTION.

    A name that two installed packages use is told apart as PACKAGE:NAME.

    Raises:
        ConfigError: there is no such reward, or more than one.
        RewardError: the file cannot be run.
    """
    known = {place.name: place for place in _places()}
    if reference in known:
        return known[reference]
    path, colon, function = reference.partition(":")
    if path.endswith(".py"):
        return _in_file(path, function, root)
    if colon:
        return Place(function, path, function, f"module {path}")
    same = [name for name in known if name.endswith(f":{reference}")]
    if same:
        raise ConfigError(f"{reference}: several packages have a reward of this name, write one of {', '.join(same)}")
    raise ConfigError(
        f"{reference}: there is no reward of this name{nearest(reference, [*known, *shipped()]) or '.'} "
        "`halyard reward list` shows all, and one of your own is named as FILE.py:FUNCTION"
    )


def _in_file(path: str, function: str, root: Path) -> Place:
    if not function:
        names = rewards_in(load_module(path, root))
        if len(names) != 1:
            there = f"has {', '.join(names)}" if names else "has no reward"
            raise ConfigError(f"{path}: expected one reward in it or its name, as {path}:FUNCTION: the file {there}")
        (function,) = names
    return Place(function, path, function, f"file {path}")


def _places() -> Iterator[Place]:
    """Everything with a name; what ships keeps its name whatever is installed."""
    for name, value in SHIPPED.items():
        path, _, function = value.partition(":")
        yield Place(name, path, function, "shipped")
    points = list(entry_points(group=GROUP))
    counts = Counter([*SHIPPED, *(point.name for point in points)])
    for point in points:
        package = _package(point)
        name = point.name if counts[point.name] == 1 else f"{package}:{point.name}"
        yield Place(name, point.module, point.attr, f"package {package}")


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module.partition(".")[0]


def _entry(place: Place, root: Path = Path()) -> Entry:
    try:
        function: Any = getattr(load_module(place.path, root), place.function, None)
    except HalyardError as error:
        return Entry(place.name, "", (), "single", place.whose, str(error))
    if mark := mark_of(function):
        form, parameters = mark.form, settable(function)
    elif other := foreign(function):
        form, parameters = other.form, other.settable(function, {})
    else:
        fault = f"{place.path}: {place.function} is no reward"
        return Entry(place.name, "", (), "single", place.whose, fault)
    summary = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return Entry(place.name, " ".join(summary.split()), describe(function, parameters), form, place.whose)


def _judged(name: str, rubric: Rubric) -> Entry:
    """A rubric, whose parameters are those of a judge's term."""
    parameters = tuple(
        Parameter(key, *in_words(field), field.description or "")
        for key, field in JudgeTerm.model_fields.items()
        if key not in BaseTerm.model_fields and key not in ("type", "rubric")
    )
    return Entry(
        name, rubric.description, parameters, "group" if rubric.form == "pair" else "single", "shipped, asks a judge"
    )
