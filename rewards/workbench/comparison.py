"""Two rewards on the same cases: where they disagree, and who is right by the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewards.workbench.labels import EXACT, Scored, gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A case as two rewards see it."""

    left: Scored
    right: Scored

    @property
    def agree(self) -> bool:
        """Whether both give the same reward; two failures agree, a failure and a number do not."""
        return self.gap <= EXACT

    @property
    def gap(self) -> float:
        """By how much they differ; a failed verdict differs from any number by infinitely much."""
        return gap(self.left.verdict.reward, self.right.verdict.reward)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All cases under two rewards, in their order."""

    pairs: tuple[Pair, ...]

    @property
    def disagreements(self) -> list[Pair]:
        """The pairs that do not agree, those furthest apart first."""
        return sorted((pair for pair in self.pairs if not pair.agree), key=lambda pair: -pair.gap)

    @property
    def agreement(self) -> float:
        """Share of the cases on which both give the same reward."""
        return sum(pair.agree for pair in self.pairs) / len(self.pairs)

    @property
    def only_left(self) -> int:
        """Labelled cases that the first reward alone is right on."""
        return sum(pair.left.outcome == "right" != pair.right.outcome for pair in self.pairs)

    @property
    def only_right(self) -> int:
        """Labelled cases that the second reward alone is right on."""
        return sum(pair.right.outcome == "right" != pair.left.outcome for pair in self.pairs)


def compare(left: Sequence[Scored], right: Sequence[Scored]) -> Comparison:
    """The same cases, scored twice, side by side."""
    return Comparison(pairs=tuple(Pair(left=a, right=b) for a, b in zip(left, right, strict=True)))
