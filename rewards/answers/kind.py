"""What all kinds of reference answers have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Decide = Callable[[str, str], bool | None]
"""Whether the expression of an answer equals that of a reference; None where it takes more to know."""


class Kind(Protocol):
    """A reference answer that has been read, once for all the answers that are compared with it."""

    def same(self, answer: str, decide: Decide, /) -> bool | None:
        """Whether a tidy answer equals it; None where `decide` could not tell."""
        ...


def all_of(verdicts: list[bool | None]) -> bool | None:
    """True if all are, False if one is not, else None."""
    if any(one is False for one in verdicts):
        return False
    return None if None in verdicts else True


def any_of(verdicts: list[bool | None]) -> bool | None:
    """True if one is, None if one may be, else False."""
    if True in verdicts:
        return True
    return None if None in verdicts else False
