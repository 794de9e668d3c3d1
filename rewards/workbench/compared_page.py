"""Two rewards on the same cases: as a page for people, as plain values for programs."""

from __future__ import annotations

from typing import Any

from rewards.workbench.comparison import Comparison, Pair
from rewards.workbench.labels import tally
from rewards.workbench.page import Cell, Figure, Page, Row, Table, Tone
from rewards.workbench.scored_page import LONG, response, verdict_values


def compare_page(names: tuple[str, str], found: Comparison) -> Page:
    """How often they agree, who is right by the labels, and every disagreement, the widest first."""
    first, second = names
    about = ("case", "response", "reference", "expected")
    columns = (*about, first, second, "reason of the first", "reason of the second")
    different = found.disagreements
    table = Table(title="Where they disagree", columns=columns, rows=list(map(_pair, different)), long=LONG)
    return Page(
        title=f"{first}  against  {second}",
        subtitle=f"{len(found.pairs)} case{'s' * (len(found.pairs) != 1)}",
        figures=[
            Figure(
                name="agreement",
                value=f"{found.agreement:.1%}",
                remark=f"{len(different)} of {len(found.pairs)} cases differ",
                tone="warn" if different else "good",
            ),
            *_accuracies(names, found),
        ],
        tables=[table] if different else [],
    )


def _accuracies(names: tuple[str, str], found: Comparison) -> list[Figure]:
    """Of labelled cases: how often each is right, and how often alone."""
    left, right = tally([pair.left for pair in found.pairs]), tally([pair.right for pair in found.pairs])
    if left.accuracy is None or right.accuracy is None:
        return []
    alone = (found.only_left, found.only_right)
    return [
        Figure(name=f"accuracy of {name}", value=f"{share:.1%}", remark=f"alone right on {count}")
        for name, share, count in zip(names, (left.accuracy, right.accuracy), alone, strict=True)
    ]


def _pair(pair: Pair) -> Row:
    case, left, right = pair.left.case, pair.left.verdict, pair.right.verdict
    tone: Tone = "bad" if left.reward is None or right.reward is None else "plain"
    cells: tuple[Cell, ...] = (case.name, response(case.sample), case.sample.reference, case.expected)
    return Row((*cells, left.reward, right.reward, left.reason, right.reason), tone)


def compare_values(names: tuple[str, str], found: Comparison) -> dict[str, Any]:
    """The same for programs."""
    sides = ([pair.left for pair in found.pairs], [pair.right for pair in found.pairs])
    return {
        "rewards": list(names),
        "cases": len(found.pairs),
        "agreement": found.agreement,
        "accuracy": [tally(side).accuracy for side in sides],
        "disagreements": [
            {
                "case": pair.left.case.name,
                "response": pair.left.case.sample.response,
                "reference": pair.left.case.sample.reference,
                "expected": pair.left.case.expected,
                "verdicts": [verdict_values(pair.left.verdict), verdict_values(pair.right.verdict)],
            }
            for pair in found.disagreements
        ],
    }
