r"""What has an order or a proportion of its own: `A > B > C`, `evaporation → condensation`, `3:2`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rewards.answers.kind import Decide, Kind, all_of
from rewards.answers.lists import split
from rewards.answers.numerals import number
from rewards.normal import TEXT_MARK, spaced

_RELATION = re.compile(r"\s*(\\to(?![a-zA-Z])|>|<)\s*")
_RATIO = re.compile(r"(\d+(?:\.\d+)?)\s*(?::|to|比)\s*(\d+(?:\.\d+)?)(?:\s*:\s*(\d+(?:\.\d+)?))?")
_TURNED = {"<": ">", ">": "<"}


@dataclass(frozen=True, slots=True)
class Sequence:
    """Things in an order that a relation between them gives: `<`, `>` or an arrow."""

    items: tuple[Kind, ...]
    relation: str

    def same(self, answer: str, decide: Decide) -> bool | None:
        """Whether the answer has them in this order, whichever side it is read from."""
        text = spaced(answer)
        parts, relations = _taken_apart(text)
        if not relations:
            parts = split(text).texts
        elif len(relations) > 1 or self.relation not in relations | {_TURNED.get(one, one) for one in relations}:
            return False
        elif self.relation not in relations:
            parts.reverse()
        if len(parts) != len(self.items):
            return False
        return all_of([item.same(part, decide) for item, part in zip(self.items, parts, strict=True)])


def sequence(text: str) -> tuple[list[str], str] | None:
    """The parts of a spaced form and the relation between them; None for what is no sequence."""
    parts, relations = _taken_apart(text)
    if len(relations) != 1 or not all(re.search(r"[^\W\d_]", part) for part in parts):
        return None
    relation = relations.pop()
    if relation != "\\to" and len(parts) == 2 and any(len(part) == 1 for part in parts):
        return None  # an inequality
    return parts, relation


def _taken_apart(text: str) -> tuple[list[str], set[str]]:
    """The parts of a spaced form and the relations between them."""
    parts = [part.strip(f" {TEXT_MARK}") for part in _RELATION.split(text)[::2]]
    return parts, set(_RELATION.findall(text))


@dataclass(frozen=True, slots=True)
class Ratio:
    """A proportion like 3:2."""

    terms: tuple[float, ...]

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer is the same proportion, cancelled or not, or as one number."""
        other = ratio(spaced(answer))
        if other is None:
            share = number(spaced(answer))
            return share is not None and len(self.terms) == 2 and float(share) * self.terms[1] == self.terms[0]
        return len(other) == len(self.terms) and all(
            abs(one * other[0] - two * self.terms[0]) <= 1e-9 * abs(one * other[0])
            for one, two in zip(self.terms, other, strict=True)
        )


def ratio(text: str) -> tuple[float, ...] | None:
    """The terms of a proportion, None for something else."""
    found = _RATIO.fullmatch(" ".join(text.replace(TEXT_MARK, " ").split()))
    return tuple(float(one) for one in found.groups() if one) if found else None
