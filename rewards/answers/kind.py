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


def matched(verdicts: list[list[bool | None]]) -> bool | None:
    """Whether every row has a column of its own that is the same, for as many columns as rows."""
    for hopeful in (False, True):
        if _perfect([[one is True or (hopeful and one is None) for one in row] for row in verdicts]):
            return None if hopeful else True
    return False


def _perfect(edges: list[list[bool]]) -> bool:
    """Whether a bipartite graph has a perfect matching (Kuhn's augmenting paths)."""
    owner: dict[int, int] = {}

    def augment(item: int, seen: set[int]) -> bool:
        for part, edge in enumerate(edges[item]):
            if edge and part not in seen:
                seen.add(part)
                if part not in owner or augment(owner[part], seen):
                    owner[part] = item
                    return True
        return False

    return all(augment(item, set()) for item in range(len(edges)))


def any_of(verdicts: list[bool | None]) -> bool | None:
    """True if one is, None if one may be, else False."""
    if True in verdicts:
        return True
    return None if None in verdicts else False
