"""The judge's training rows: balanced, true to what they say, in the wording that the reward uses."""

from __future__ import annotations

import re

from configs.data import JudgementSource, SyntheticSource
from halyard.data import judgements, synthetic

ROWS = judgements.make(JudgementSource(rows=1000, difficulty=0.7))


def test_half_agree_in_every_family() -> None:
    for family in range(5):
        answers = [row.answer for row in ROWS[family::5]]
        assert answers.count("yes") == answers.count("no") == 100


def test_yes_means_that_the_conclusion_is_the_answer() -> None:
    for row in ROWS:
        found = re.fullmatch(r"reasoning: .*so (.+)\. answer: (.+)\. does the reasoning agree .*", row.messages[0].text)
        assert found
        assert (found[1] == found[2]) == (row.answer == "yes"), row.messages[0].text
        assert row.messages[1].text == row.answer


def test_a_wrong_answer_keeps_its_unit() -> None:
    for row in ROWS[4::5]:
        found = re.search(r"so \S+ (\S+)\. answer: \S+ (\S+)\. does", row.messages[0].text)
        assert found
        assert found[1] == found[2]


def test_some_wrong_reasoning_agrees_and_some_right_reasoning_does_not() -> None:
    true = {row.messages[1].reasoning for row in synthetic.make(SyntheticSource(rows=1000, difficulty=0.7))}
    kinds = {
        (row.messages[0].text.split(" answer: ")[0].removeprefix("reasoning: ") in true, row.answer) for row in ROWS
    }
    assert kinds == {(True, "yes"), (False, "yes"), (True, "no"), (False, "no")}


def test_the_same_source_gives_the_same_rows_and_ids_are_unique() -> None:
    assert judgements.make(JudgementSource(rows=1000, difficulty=0.7)) == ROWS
    assert len({row.id for row in ROWS}) == 1000
