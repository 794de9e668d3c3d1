"""What a probe found: as a page for people, as plain values for programs."""

from __future__ import annotations

from typing import Any

from rewards.workbench.attacks import ATTACKS
from rewards.workbench.page import Figure, Page, Row, Table
from rewards.workbench.probe import Attempt, Probed
from rewards.workbench.scored_page import response, speed


def probe_page(found: Probed, seconds: float) -> Page:
    """Whether the reward held, attack by attack; every response that earned something; questions left out."""
    earned = found.earned
    failed = sum(one.verdict.reward is None for one in found.attempts)
    figures = [
        Figure(
            name="earned without the answer",
            value=str(len(earned)),
            remark=f"of {len(found.attempts)} attempts on {len(found.paid)} questions",
            tone="bad" if earned else "good",
        ),
        Figure(
            name="failed verdicts",
            value=str(failed),
            remark="neither paid nor refused",
            tone="warn" if failed else "plain",
        ),
        speed(seconds, len(found.attempts)),
    ]
    return Page(title=found.name, subtitle="probed", figures=figures, tables=[*_tables(found, earned)])


def _tables(found: Probed, earned: list[Attempt]) -> list[Table]:
    tables = [
        Table(
            title="Attacks",
            columns=("attack", "attempts", "tell something", "earned"),
            rows=[_attack(attack.name, found) for attack in ATTACKS],
            remark="An attack tells nothing of a reward that pays right and wrong alike.",
        )
    ]
    if earned:
        columns = ("attack", "question", "response", "reward", "at most", "reason")
        rows = list(map(_earned, earned))
        tables.append(Table(title="What earned", columns=columns, rows=rows, long=frozenset({"response", "reason"})))
    if found.skipped:
        rows = [Row(item) for item in found.skipped.items()]
        tables.append(Table(title="Questions left out", columns=("question", "why"), rows=rows))
    return tables


def _earned(one: Attempt) -> Row:
    cells = (one.attack, one.question, response(one.sample), one.verdict.reward, one.floor, one.verdict.reason)
    return Row(cells, "bad")


def _attack(name: str, found: Probed) -> Row:
    tried = [one for one in found.attempts if one.attack == name]
    telling, earned = sum(one.floor is not None for one in tried), sum(one.earned for one in tried)
    return Row((name, len(tried), telling, earned), "bad" if earned else "plain")


def probe_values(found: Probed, seconds: float) -> dict[str, Any]:
    """The same for programs."""
    return {
        "reward": found.name,
        "attempts": len(found.attempts),
        "seconds": seconds,
        "questions": list(found.paid),
        "skipped": dict(found.skipped),
        "earned": [
            {
                "attack": one.attack,
                "question": one.question,
                "response": one.sample.response,
                "reward": one.verdict.reward,
                "at_most": one.floor,
                "reason": one.verdict.reason,
            }
            for one in found.earned
        ],
    }
