"""Verdicts against labels: which are right, which pay for a wrong answer, which refuse a right one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from halyard.data.types import Verdict
from rewards.workbench.cases import Case

THRESHOLD = 0.5
"""A reward from here on says that a response is right."""
EXACT = 1e-6

Outcome = Literal["right", "false positive", "false negative", "other number", "failed", "unlabelled"]
WRONG: tuple[Outcome, ...] = ("false positive", "false negative", "other number", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A case with its verdict, and how that compares with the label."""

    case: Case
    verdict: Verdict
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of labelled cases; a failed verdict is not right."""

    kind: str
    outcomes: Counter[Outcome]

    @property
    def labelled(self) -> int:
        """Cases with a label."""
        return self.outcomes.total() - self.outcomes["unlabelled"]

    @property
    def accuracy(self) -> float | None:
        """Share of the labelled cases whose verdict is right; None without any."""
        return self.outcomes["right"] / self.labelled if self.labelled else None


def gap(one: float | None, other: float | None) -> float:
    """By how much two rewards differ; two failed verdicts not at all, one from any number by infinitely much.

    >>> gap(0.25, 1.0), gap(None, None), gap(None, 0.0)
    (0.75, 0.0, inf)
    """
    if one is None or other is None:
        return 0.0 if one is other else math.inf
    return abs(one - other)


def outcome(case: Case, verdict: Verdict, threshold: float = THRESHOLD) -> Outcome:
    """How a verdict compares with the case's label."""
    wanted = case.expected
    if wanted is None:
        return "unlabelled"
    if verdict.reward is None:
        return "failed"
    if isinstance(wanted, bool):
        paid = verdict.reward >= threshold
        return "right" if paid == wanted else "false positive" if paid else "false negative"
    return "right" if abs(verdict.reward - float(wanted)) <= EXACT else "other number"


def compare(cases: Sequence[Case], verdicts: Sequence[Verdict], threshold: float = THRESHOLD) -> list[Scored]:
    """The cases with their verdicts, in their order."""
    return [
        Scored(case=case, verdict=verdict, outcome=outcome(case, verdict, threshold))
        for case, verdict in zip(cases, verdicts, strict=True)
    ]


def tally(scored: Sequence[Scored]) -> Tally:
    """What became of all cases."""
    return Tally(kind="all", outcomes=Counter(one.outcome for one in scored))


def by_kind(scored: Sequence[Scored]) -> list[Tally]:
    """What became of the cases of each kind, in the order in which kinds come up; none where no case has one."""
    kinds = dict.fromkeys(one.case.kind for one in scored)
    if not any(kinds):
        return []
    return [
        Tally(kind=kind or "other", outcomes=Counter(one.outcome for one in scored if one.case.kind == kind))
        for kind in kinds
    ]
