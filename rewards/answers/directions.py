"""Quantities that point somewhere: `3 m/s to the east`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rewards.answers.kind import Decide, Kind
from rewards.normal import TEXT_MARK, spaced

_WAYS = (
    "north", "south", "east", "west", "northeast", "northwest", "southeast", "southwest", "left", "right", "up", "down",
    "inward", "outward", "forward", "backward",
)  # fmt: skip
_POINTED = re.compile(
    rf"(.*\d.*?)[,{TEXT_MARK}\s(]+(?:directed|pointing|acting|vertically|horizontally|due|to|towards?|in|the|{TEXT_MARK}|\s)*"
    rf"\b({'|'.join(sorted(_WAYS, key=len, reverse=True))})(?:wards?)?(?:\s+direction)?[\s{TEXT_MARK})]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Directed:
    """A reference with a size and a direction."""

    size: Kind
    way: str

    def same(self, answer: str, decide: Decide) -> bool | None:
        """Whether the answer has the same size and points the same way."""
        found = directed(spaced(answer))
        return False if found is None or found[1] != self.way else self.size.same(found[0], decide)


def directed(text: str) -> tuple[str, str] | None:
    """The size and the direction of a spaced form, None for something else.

    >>> directed("3.0 m/s to the east"), directed("5 N ~ upward")
    (('3.0 m/s', 'east'), ('5 N', 'up'))
    """
    found = _POINTED.fullmatch(text) if len(text) <= 100 else None
    return (found[1].strip(f" {TEXT_MARK},"), found[2].lower()) if found else None
