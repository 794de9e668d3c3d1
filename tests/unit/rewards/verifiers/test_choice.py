"""Multiple choice: what counts as choosing one option."""

from __future__ import annotations

from typing import Any

import pytest
from support.samples import direct

from rewards.verifiers.choice import choice

ANIMALS = ["a cat", "a dog", "a cow", "a horse"]


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("B", 1), ("(B)", 1), (r"\boxed{B}", 1), (r"\boxed{\text{B}}", 1), ("The answer is B.", 1), ("Answer: (B)", 1),
        (r"\boxed{a dog}", 1), (r"\boxed{B. a dog}", 1), ("b", 1), (r"答案是B", 1), ("C", 0), (r"\boxed{a cat}", 0),
        (r"\boxed{B. a cat}", 0), (r"\boxed{B} or \boxed{C}", 0), ("A, B, C, D", 0), (r"\boxed{A B C D}", 0), ("", 0),
        (r"\boxed{ABCD}", 0), (r"\boxed{}", 0), ("I do not know", 0), ("either B or C", 0),
        ("The reference answer is B, but I cannot solve this.", 0), ("B (or A)", 0), (r"\boxed{\text{B (or A)}}", 0),
        (r"\boxed{not B}", 0),
        (r"\boxed{B}. No, that is wrong: I withdraw it.", 0),
    ],
)  # fmt: skip
def test_one_option_is_chosen(answer: str, score: float) -> None:
    assert choice(direct(answer, "B", metadata={"options": ANIMALS})).score == score
    by_letter = dict(zip("ABCD", ANIMALS, strict=True))
    assert choice(direct(answer, "B", metadata={"options": by_letter})).score == score
    assert choice(direct(answer, "a dog", metadata={"options": ANIMALS})).score == score


def test_options_are_read_from_the_prompt() -> None:
    prompt = "What is it?\nA. a cat\nB. a dog\nC. a cow"
    assert choice(direct(r"\boxed{a dog}", "B", prompt=prompt)).score == 1
    assert choice(direct(r"\boxed{a cow}", "B", prompt=prompt)).score == 0


def test_several_right_options_are_chosen_together() -> None:
    scores = [
        choice(direct(answer, "A, C", metadata={"options": ANIMALS})).score
        for answer in ("A, C", "CA", "A and C", "A", "A, B")
    ]
    assert scores == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(("reference", "options"), [(None, ANIMALS), ("", ANIMALS), ("purple", ANIMALS), ("B", 5)])
def test_what_names_no_option_is_a_failure(reference: str | None, options: Any) -> None:
    judgement = choice(direct("B", reference, metadata={"options": options}))
    assert judgement.score is None
    assert judgement.reason.startswith("bad reference: expected")
