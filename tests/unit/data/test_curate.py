"""What the data-making stages keep and drop, on cases small enough to do by hand."""

from __future__ import annotations

import json
from collections import Counter

from halyard.data.curate import Candidate, hard_cases, harvest, keep_not_always, keep_sometimes
from halyard.data.prompts import to_prompt
from halyard.data.types import Message, Row

QUESTION = (Message(role="user", text="?"),)


def row(row_id: str, family: str = "sum") -> Row:
    return Row(id=row_id, messages=QUESTION, answer="5", family=family)


ROWS = [row("always"), row("never"), row("half"), row("unjudged", "chart")]
PASSES = {"always": [True] * 4, "never": [False] * 4, "half": [True, False], "unjudged": []}


def test_the_filter_keeps_what_is_solved_sometimes() -> None:
    kept, report = keep_sometimes(ROWS, PASSES)
    assert [(r.id, r.metadata["pass_rate"]) for r in kept] == [("half", 0.5)]
    assert report.to_record() == {
        "dropped: always right": {"all": 1, "sum": 1},
        "dropped: never right": {"all": 1, "sum": 1},
        "kept": {"all": 1, "sum": 1},
        "dropped: not judged": {"all": 1, "chart": 1},
    }
    assert (report.kept, report.dropped) == (1, 3)


def test_tasks_without_reasoning_keep_the_never_solved() -> None:
    kept, _ = keep_not_always(ROWS, PASSES)
    assert [r.id for r in kept] == ["never", "half"]


def test_hard_cases_come_with_as_many_general_rows() -> None:
    rows = [row("easy"), row("hard"), row("hardest"), row("never")]
    passes = {
        "easy": [True, True, True, False],
        "hard": [True, False],
        "hardest": [True] + [False] * 3,
        "never": [False],
    }
    general = [row(f"g{i}", "read") for i in range(5)]
    kept, report = hard_cases(rows, passes, general, max_pass_rate=0.5)
    assert [r.id for r in kept] == ["hard", "g0", "hardest", "g1"]
    assert report.to_record()["dropped: more general than hard"] == {"all": 3, "read": 3}
    kept, _ = hard_cases(rows, passes, general[:1], max_pass_rate=0.5, keep_never_solved=True)
    assert [r.id for r in kept] == ["hard", "g0", "hardest", "never"]


def candidate(
    prompt: str, reasoning: str, *, family: str = "sum", right: bool = True, formed: bool = True
) -> Candidate:
    asked = to_prompt(row(prompt, family), thinking=True)
    return Candidate(prompt=asked, reasoning=reasoning, text="\\boxed{5}", right=right, well_formed=formed)


def test_harvest_takes_only_sound_rollouts_and_few_of_a_prompt() -> None:
    candidates = [
        candidate("p", "one"),
        candidate("p", "one"),
        candidate("p", "two"),
        candidate("p", "three"),
        candidate("q", "four", right=False),
        candidate("q", "five", formed=False),
        candidate("q", " "),
    ]
    kept, report = harvest(candidates, [], rows=100, thinking_share=0.5, per_prompt=2, seed=0)
    assert sorted(r.messages[-1].reasoning or "" for r in kept) == ["one", "two"]
    assert {outcome: counts["all"] for outcome, counts in report.to_record().items() if counts["all"]} == {
        "kept: harvested": 2,
        "dropped: same reasoning again": 1,
        "dropped: enough of the prompt": 1,
        "dropped: not right": 1,
        "dropped: not well formed": 2,
    }
    assert all(r.messages[-1].text == "\\boxed{5}" for r in kept)
    json.dumps(report.to_record())


def test_harvest_balances_families_and_keeps_the_share() -> None:
    candidates = [candidate(f"s{i}", "r") for i in range(50)] + [
        candidate(f"c{i}", "r", family="chart") for i in range(3)
    ]
    direct = [row(f"d{i}", "read") for i in range(200)]
    kept, _ = harvest(candidates, [*direct, direct[0]], rows=100, thinking_share=0.1, seed=0)
    assert Counter(r.family for r in kept) == {"read": 90, "sum": 7, "chart": 3}
    assert len({r.id for r in kept}) == 100
    assert kept != sorted(kept, key=lambda r: r.family)

    few, _ = harvest(candidates[-3:], direct, rows=100, thinking_share=0.1, seed=0)
    assert Counter(r.family for r in few) == {"read": 27, "chart": 3}
    assert (
        harvest(candidates, direct, rows=100, thinking_share=0.1, seed=0)[0]
        == harvest(candidates, direct, rows=100, thinking_share=0.1, seed=0)[0]
    )
