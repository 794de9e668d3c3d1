"""The labelled table of the other rewards: charts, documents, grounding, counting, text, format, language."""

from __future__ import annotations

from bench.accuracy import REWARDS, agrees, cases, printed, rewarded
from bench.accuracy import marked as marked_by

CASES = cases(REWARDS)
WANTED = 0.98


def test_the_table_has_right_and_wrong_answers_for_each_reward() -> None:
    for name in {case["reward"] for case in CASES}:
        assert len({case["expected"] for case in CASES if case["reward"] == name}) > 1, name


def test_nearly_all_are_marked_as_a_person_would() -> None:
    wrong = [(case["reference"], case["response"]) for case in CASES if not agrees(rewarded(case), case["expected"])]
    assert len(wrong) <= (1 - WANTED) * len(CASES), wrong
    assert printed(marked_by(CASES, rewarded)).row_count == len({case["reward"] for case in CASES}) + 1
