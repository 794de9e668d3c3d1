r"""Solutions that come again and again, `x = \frac{\pi}{6} + 2k\pi, k \in \mathbb{Z}`: as points on the real line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rewards.answers.kind import Decide
from rewards.answers.lists import expanded, split
from rewards.identity import value
from rewards.normal import TEXT_MARK, compact, spaced, unassigned

MOST_BRANCHES = 12
MOST_POINTS = 500
SLACK = 1e-9
PERIODS = 3
"""Periods, of the longest, in which two families are compared."""

_IDLE = rf"[\s,;({TEXT_MARK}]"
_INTEGER = re.compile(
    rf"{_IDLE}*(?:(?:where|for|with|其中){_IDLE}+)?(?:(?:any|all|some|every){_IDLE}+)?"
    rf"(?:integers?{_IDLE}+([kmnlt])"
    rf"|([kmnlt]){_IDLE}*(?:\\in{_IDLE}*(?:\\mathbb\s*\{{?\s*Z\s*\}}?|Z|integers?)"
    rf"|(?:is|为|是){_IDLE}*(?:an|any)?{_IDLE}*(?:integer|整数)))[\s){TEXT_MARK}.]*$"
)
_PERIODIC = re.compile(
    r"(?:x|t|z|\\theta|\\alpha)\s*=(?=[^=<>]*\\pi)(?=[^=<>]*(?<![a-zA-Z\\])[kn](?![a-zA-Z]))[^=<>]*$"
)
_LETTER = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z](?![a-zA-Z])|(?<=\\pi)\s*[a-zA-Z](?![a-zA-Z])")
_DEGREES = re.compile(r"\^\s*\\circ(?![a-zA-Z])|\^\{\\circ\}")


class Branch(NamedTuple):
    """One point, and how far it is to the next."""

    base: float
    step: float


@dataclass(frozen=True, slots=True)
class Family:
    """A reference that is a set of points at equal steps, or several such sets."""

    branches: tuple[Branch, ...]

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer has the same points, whatever its parameter is called and how it is cut into branches."""
        found = family(spaced(answer), declared=False)
        if found is None:
            return False
        longest = max(branch.step for branch in (*self.branches, *found.branches))
        mine, others = _points(self.branches, PERIODS * longest), _points(found.branches, PERIODS * longest)
        if mine is None or others is None or len(mine) != len(others):
            return False
        return all(abs(one - other) <= SLACK * longest for one, other in zip(mine, others, strict=True))


def family(text: str, declared: bool = True) -> Family | None:
    r"""The family that a spaced form is, None for something else; `declared` where it has to say that it is one.

    >>> family(r"x = \frac{\pi}{2} + k\pi, k \in \mathbb{Z}").branches
    (Branch(base=1.5707963267948966, step=3.141592653589793),)
    """
    found = _INTEGER.search(text)
    if found is None and declared and not _PERIODIC.match(text):
        return None
    parts = expanded(split(text[: found.start()] if found else text).texts)
    letter = (found[1] or found[2]) if found else None
    bodies = [unassigned(compact(part)) for part in parts]
    branches = [_branch(body, letter) for body in bodies[:MOST_BRANCHES]]
    known = tuple(branch for branch in branches if branch)
    return Family(known) if known and len(known) == len(bodies) else None


def _branch(body: str, letter: str | None) -> Branch | None:
    r"""The points of an expression in one whole number, such as `k\pi`; None where they are not at equal steps."""
    body = _DEGREES.sub(r"\\cdot\\frac{\\pi}{180}", body)
    letters = {one.strip() for one in _LETTER.findall(body)} - {"e"}
    if len(letters) != 1 or (letter and letters != {letter}):
        return None
    points = [value(_LETTER.sub(f"(0+{i})", body)) for i in range(3)]
    if any(point is None or point.imag for point in points):
        return None
    first, second, third = (point.real for point in points if point is not None)
    step = abs(second - first)
    if not step or abs(third - 2 * second + first) > SLACK * step:
        return None
    return Branch(first, step)


def _points(branches: Sequence[Branch], end: float) -> list[float] | None:
    """All points from 0 to the end, in order and once each; None for too many."""
    if sum(end / branch.step for branch in branches) > MOST_POINTS:
        return None
    points: list[float] = []
    for base, step in branches:
        start = base % step
        points += [start + i * step for i in range(int(end / step) + 1)]
    inside = sorted(
        point % end if abs(point - end) < SLACK * end else point for point in points if point < end * (1 + SLACK)
    )
    kept: list[float] = []
    for point in inside:
        if not kept or point - kept[-1] > SLACK * end:
            kept.append(point)
    return kept
