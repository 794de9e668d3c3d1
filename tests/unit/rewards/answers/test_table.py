"""The labelled table: every kind of answer, right and wrong as a careful person would mark them.

`cases.jsonl` has one case a line: kind, task, reference, response, expected, and often a prompt and a note on why.
"""

from __future__ import annotations

from collections import Counter

from bench.accuracy import cases, marked, ours, printed, share, theirs

CASES = cases()
WANTED = 0.98
EVERY = 50
"""math-verify takes two minutes for the whole table; here it gets one case in so many."""


def test_the_table_is_large_and_balanced() -> None:
    labels = Counter(case["expected"] for case in CASES)
    assert len(CASES) >= 1500
    assert 0.44 < labels[True] / len(CASES) < 0.56
    assert len({(case["task"], case["reference"], case["response"], case.get("prompt")) for case in CASES}) == len(
        CASES
    )
    for kind in {case["kind"] for case in CASES}:
        assert {case["expected"] for case in CASES if case["kind"] == kind} == {True, False}, kind


def test_nearly_all_are_marked_as_a_person_would() -> None:
    wrong = [(case["reference"], case["response"]) for case in CASES if ours(case) != float(case["expected"])]
    assert len(wrong) <= (1 - WANTED) * len(CASES), wrong


def test_plain_math_verify_marks_fewer_right() -> None:
    sample = CASES[::EVERY]
    mine, plain = marked(sample, ours), marked(sample, theirs)
    assert share(mine, list(mine)) >= WANTED
    assert share(plain, list(plain)) < share(mine, list(mine))
    assert printed(mine, plain).row_count == len(mine) + 1
