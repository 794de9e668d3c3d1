r"""Chemical equations, up to the order of particles, states of matter and a common factor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from rewards.answers.formulas import MARKS, STATE, Formula, formula
from rewards.answers.kind import Decide
from rewards.normal import TEXT_MARK, spaced

LONGEST = 600

_ARROWS = re.compile(
    r"\\x(?:right|leftright)?(?:arrow|longequal)(?:\[[^\]]*\])?\{(?:[^{}]|\{[^{}]*\})*\}"
    r"|\\(?:overset|stackrel|underset)\s*\{(?:[^{}]|\{[^{}]*\})*\}\s*\{(?:=|\\to|\\rightleftharpoons)\s*\}"
    r"|=[^=+]{1,20}=|\\(?:to|rightleftharpoons|leftrightarrow|Rightarrow)(?![a-zA-Z])\s*(?:\[[^\]]*\]){0,2}"
    r"|<=>|<-+>|=|⟶|→"
)

Side = tuple[tuple[Formula, Fraction], ...]


class Reaction(NamedTuple):
    """Both sides of an equation, coefficients scaled so that the first is 1."""

    left: Side
    right: Side


@lru_cache(maxsize=4096)
def reaction(text: str) -> Reaction | None:
    """The reaction that a spaced form is, None for something else."""
    if len(text) > LONGEST:
        return None
    bare = STATE.sub("", MARKS.sub("", text.replace(TEXT_MARK, " ")))
    sides = [side for side in _ARROWS.split(bare) if side.strip()]
    if len(sides) != 2:
        return None
    left, right = _side(sides[0]), _side(sides[1])
    if not left or not right:
        return None
    scale = min(left.items(), key=lambda one: one[0].text)[1]
    return Reaction(*(tuple(sorted((key, count / scale) for key, count in side.items())) for side in (left, right)))


def _side(text: str) -> dict[Formula, Fraction] | None:
    """The particles of a side and how many of each."""
    found: dict[Formula, Fraction] = {}
    for part in re.split(r"\s\+\s|\+(?=\s*(?:\d|[A-Z(\[\\]|e))", text.replace("\\;", " ")):
        one = re.match(r"\s*(?:\\frac\{?(\d+)\}?\{?(\d+)\}?|(\d+)/(\d+)|(\d+(?:\.\d+)?))?\s*(.*)", part)
        top, bottom, top1, bottom1, whole, rest = one.groups() if one else (None,) * 6
        particle = formula((rest or "").strip().strip("{}").strip())
        below = int(bottom or bottom1 or 1)
        if particle is None or not below:
            return None
        count = Fraction(int(top or top1 or 0), below) if top or top1 else Fraction(whole or 1)
        if not count:
            return None
        found[particle] = found.get(particle, Fraction(0)) + count
    return found


def is_reaction(text: str) -> bool:
    """Whether a reference is a chemical equation."""
    found = reaction(text)
    compound = found is not None and any(len(one.atoms) > 1 for side in found for one, _ in side)
    return found is not None and (compound or "\\" in text)


@dataclass(frozen=True, slots=True)
class Reacting:
    """A reference that is a chemical equation."""

    reaction: Reaction

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer is the same equation, up to order, states and a common factor."""
        return reaction(spaced(answer)) == self.reaction
