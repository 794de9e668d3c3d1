r"""Relations that nothing is worked out of: `AB \parallel CD`, `p \equiv 1 \pmod 4`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rewards.answers.kind import Decide
from rewards.answers.lists import split
from rewards.answers.numerals import number
from rewards.normal import TEXT_MARK, compact, spaced

_SYMBOL = re.compile(r"\\(parallel|perp|cong|sim|nparallel|not\\perp)(?![a-zA-Z])|//|∥|⊥|≌|∽")
_SPELLED = {"//": "parallel", "∥": "parallel", "⊥": "perp", "≌": "cong", "∽": "sim"}
_CONGRUENT = re.compile(
    rf"(.+?)\\equiv(.+?)[,{TEXT_MARK}]*\(?[{TEXT_MARK}]*\\?[pb]?mod(?:ulo)?[{TEXT_MARK}]*[({{]?(\d{{1,9}})[)}}]*"
)


@dataclass(frozen=True, slots=True)
class Related:
    """A reference that says how two things lie to each other; which of them comes first does not matter."""

    symbol: str
    sides: frozenset[str]

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer says the same of the same things."""
        return related(spaced(answer)) == self


def related(text: str) -> Related | None:
    r"""The relation that a spaced form is, None for something else.

    >>> related(r"AB \parallel CD") == related("CD // AB")
    True
    """
    found = _SYMBOL.search(text)
    if found is None or not text[: found.start()].strip() or not text[found.end() :].strip():
        return None
    sides = frozenset(compact(side.strip(f" {TEXT_MARK}")) for side in (text[: found.start()], text[found.end() :]))
    if not all(re.search("[a-zA-Z]", side) for side in sides):
        return None
    return Related(found[1] or _SPELLED[found[0]], sides)


@dataclass(frozen=True, slots=True)
class Congruent:
    """A reference such as `n = 1 or 3 (mod 8)`: what is congruent, to which residues, and the modulus."""

    left: str
    residues: frozenset[int]
    modulus: int

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer says the same; residues may be other representatives."""
        return congruent(spaced(answer)) == self


def congruent(text: str) -> Congruent | None:
    r"""The congruence that a spaced form is, None for something else.

    >>> congruent(r"p \equiv -1 \pmod{4}")
    Congruent(left='p', residues=frozenset({3}), modulus=4)
    """
    found = _CONGRUENT.fullmatch(compact(text))
    modulus = int(found[3]) if found else 0
    residues = _residues(found[2], modulus) if found and modulus else None
    return Congruent(found[1], residues, modulus) if found and residues else None


def _residues(text: str, modulus: int) -> frozenset[int] | None:
    values: list[int] = []
    for part in split(text).texts:
        found = number(part.removeprefix("\\pm"))
        if found is None or found.denominator != 1:
            return None
        values += [int(found), -int(found)] if part.startswith("\\pm") else [int(found)]
    return frozenset(value % modulus for value in values)
