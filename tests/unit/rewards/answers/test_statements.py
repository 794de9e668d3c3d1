"""What the last sentence of an answer states: one thing, said without doubt, or nothing."""

from __future__ import annotations

import time

import pytest

from rewards.answers.statements import conclusion, items, statement


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("Adding up.\n\nSo there are 84 students in the school.", "84 students"),
        ("Thus, $x = 5$ or $x = 7$.", "x = 5 or x = 7"),
        ("Therefore the vertex is at $(4, -1)$.", "(4, -1)"),
        ("The total cost is $10.", "$10"),
        ("因此，面积是36平方厘米。", "36平方厘米"),
        ("Then we sum.\n\nThe result is **17**.", "17"),
        ("It was on July 20th, 1969.", "July 20th, 1969"),
    ],
)
def test_a_conclusion_states_one_thing(text: str, stated: str) -> None:
    assert statement(text) == stated


@pytest.mark.parametrize(
    "text",
    [
        "It is 7 or it is 8.", "x is 3 and y is 5.", "It is not 42.", "Someone else said it is 42.", "Is it 9?",
        "If the school had 84 students, each class would have 12.", "Let's check whether 10 is even.",
        "We tried 40, 41 and 42.", "There are 7 days in a week, so it is hard to say.", "", "x",
        "We get 4 and then\n5.", "a " * 400 + "is 5",
    ],
)  # fmt: skip
def test_doubt_and_passing_figures_state_nothing(text: str) -> None:
    assert statement(text) is None


def test_a_list_at_the_end_is_one_answer() -> None:
    assert items("They are:\n* gold\n* iron") == "gold, iron"
    assert items("gold\n* iron\n* tin") is None
    assert conclusion("Light is split.\n\nThis is **dispersion**.") == "dispersion"


@pytest.mark.parametrize("unit", ["is ", "1 ", "$", "**", "so 5 is ", "(", "\\(", "一共有", "is 3, ", "\n- 1"])
def test_no_text_takes_long(unit: str) -> None:
    began = time.process_time()
    for length in (390, 100_000):
        text = (unit * length)[:length]
        statement(text)
        statement(text + " is 5", labelled=True)
        items(text)
    assert time.process_time() - began < 0.5
