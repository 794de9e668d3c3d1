"""Verdicts on cases: as a page for people, as plain values for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from halyard.data.types import Verdict
from rewards.sample import Sample
from rewards.workbench.labels import WRONG, Outcome, Scored, Tally, by_kind, tally
from rewards.workbench.page import Cell, Figure, Page, Row, Table, Tone

TONES: dict[Outcome, Tone] = {
    "right": "plain",
    "unlabelled": "plain",
    "false positive": "bad",
    "false negative": "warn",
    "other number": "warn",
    "failed": "bad",
}
PLAIN = ("case", "response", "reference", "reward", "reason")
ENOUGH = 100
"""Verdicts from which on a rate says something."""
LABELLED = ("case", "response", "reference", "expected", "reward", "outcome", "reason")
LONG = frozenset({"response", "reason", "reason of the first", "reason of the second"})


def score_page(name: str, scored: Sequence[Scored], seconds: float) -> Page:
    """Accuracy, kind by kind; what is not as labelled; then all verdicts."""
    kinds, wrong = by_kind(scored), [one for one in scored if one.outcome in WRONG]
    labelled = any(one.outcome != "unlabelled" for one in scored)
    tables = [_verdicts("All verdicts", scored, labelled)]
    if wrong and len(wrong) < len(scored):
        tables.insert(0, _verdicts("Not as labelled", wrong, labelled))
    if kinds:
        columns = ("kind", "cases", "accuracy", "false positives", "false negatives", "other numbers", "failed")
        tables.insert(0, Table(title="By kind", columns=columns, rows=[_kind(kind) for kind in kinds]))
    return Page(
        title=name,
        subtitle=f"{len(scored)} case{'s' * (len(scored) != 1)}",
        figures=[*_accuracy(tally(scored)), _mean(scored), speed(seconds, len(scored))],
        tables=tables,
    )


def _accuracy(total: Tally) -> list[Figure]:
    """Headline numbers of labelled cases; none without labels."""
    if total.accuracy is None:
        return []
    count = total.outcomes
    figures = [
        Figure(
            name="accuracy",
            value=f"{total.accuracy:.1%}",
            remark=f"{count['right']} of {total.labelled} labelled cases",
            tone="good" if total.accuracy == 1 else "bad",
        )
    ]
    remarks: dict[Outcome, str] = {
        "false positive": "paid, but wrong",
        "false negative": "right, but refused",
        "other number": "not the number that was expected",
    }
    return figures + [
        Figure(name=f"{name}s", value=str(count[name]), remark=remark, tone=TONES[name] if count[name] else "plain")
        for name, remark in remarks.items()
        if count[name] or name != "other number"
    ]


def _mean(scored: Sequence[Scored]) -> Figure:
    known = [one.verdict.reward for one in scored if one.verdict.reward is not None]
    failed = len(scored) - len(known)
    return Figure(
        name="mean reward",
        value=f"{sum(known) / len(known):.3f}" if known else "–",
        remark=f"{failed} verdicts failed" if failed else "",
        tone="bad" if failed else "plain",
    )


def speed(seconds: float, count: int) -> Figure:
    """How fast verdicts came; of a few, only how long they took, most of which is the start of a process."""
    if count < ENOUGH:
        return Figure(name="seconds", value=f"{seconds:.2f}", remark="the start of processes included")
    return Figure(name="verdicts a second", value=f"{count / seconds:,.0f}", remark=f"{count:,} in {seconds:.3g} s")


def response(sample: Sample) -> str:
    """What to show of a sample: the whole response, or that it is empty."""
    return sample.response or "(empty)"


def _verdicts(title: str, scored: Sequence[Scored], labelled: bool) -> Table:
    columns = LABELLED if labelled else PLAIN
    rows = [Row(tuple(_cells(one)[name] for name in columns), TONES[one.outcome]) for one in scored]
    return Table(title=title, columns=columns, rows=rows, long=LONG)


def _cells(one: Scored) -> dict[str, Cell]:
    verdict, case = one.verdict, one.case
    return {
        "case": case.name,
        "response": response(case.sample),
        "reference": case.sample.reference,
        "expected": case.expected,
        "reward": verdict.reward,
        "outcome": "" if one.outcome == "unlabelled" else one.outcome,
        "reason": f"{verdict.reason} ({case.note})" if case.note else verdict.reason,
    }


def _kind(kind: Tally) -> Row:
    count = kind.outcomes
    numbers = (count["false positive"], count["false negative"], count["other number"], count["failed"])
    share = None if kind.accuracy is None else f"{kind.accuracy:.1%}"
    return Row((kind.kind, count.total(), share, *numbers), "warn" if any(numbers) else "plain")


def score_values(name: str, scored: Sequence[Scored], seconds: float) -> dict[str, Any]:
    """The same for programs."""
    return {
        "reward": name,
        "cases": len(scored),
        "seconds": seconds,
        **_tally(tally(scored)),
        "kinds": {kind.kind: _tally(kind) for kind in by_kind(scored)},
        "verdicts": [_values(one) for one in scored],
    }


def _tally(total: Tally) -> dict[str, Any]:
    return {"labelled": total.labelled, "accuracy": total.accuracy, "outcomes": dict(total.outcomes)}


def _values(one: Scored) -> dict[str, Any]:
    case = one.case
    return {
        "case": case.name,
        "kind": case.kind,
        "response": case.sample.response,
        "reference": case.sample.reference,
        "expected": case.expected,
        "outcome": one.outcome,
        **verdict_values(one.verdict),
    }


def verdict_values(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain values."""
    return {
        "reward": verdict.reward,
        "status": verdict.status,
        "reason": verdict.reason,
        "components": dict(verdict.components),
    }
