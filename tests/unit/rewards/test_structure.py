from __future__ import annotations

import time

import pytest

from rewards.structure import boxes, format_fault, last_boxed, split

THINKING = r"<think>2 + 3 = 5. so 5.</think>\boxed{5}"


def test_a_thinking_response_is_split() -> None:
    response = split(THINKING, thinking=True)
    assert (response.reasoning, response.answer, response.well_formed) == ("2 + 3 = 5. so 5.", r"\boxed{5}", True)


def test_a_direct_response_has_no_reasoning() -> None:
    response = split("red", thinking=False)
    assert (response.reasoning, response.answer, response.well_formed) == (None, "red", True)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (r"\boxed{5}", "found 0 openings and 0 closings"),
        (r"<think>5", "found 1 openings and 0 closings"),
        (r"5</think>\boxed{5}", "found 0 openings and 1 closings"),
        (r"<think></think>\boxed{5}", "the reasoning is empty"),
        ("<think> \n </think>\\boxed{5}", "the reasoning is empty"),
        (r"<think>a</think>", "there is no answer"),
        (r"so <think>a</think>5", "does not start with <think>"),
        (r"<think>a</think><think>b</think>5", "found 2 openings and 2 closings"),
        (r"</think>a<think>5", "does not start with <think>"),
    ],
)
def test_malformed_thinking_is_told_apart(text: str, fault: str) -> None:
    assert fault in split(text, thinking=True).fault


@pytest.mark.parametrize("text", [THINKING, "<think>5", "</think>5", "", "  "])
def test_direct_mode_wants_an_answer_without_tags(text: str) -> None:
    assert not split(text, thinking=False).well_formed


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"<think>\boxed{4}", ""),
        (r"<think>\boxed{4}</think>five", "five"),
        (r"<think>a</think>\boxed{5}<think>\boxed{6}", r"\boxed{5}"),
        (r"<think>a</think>\boxed{4}<think>b</think>\boxed{5}", r"\boxed{5}"),
        (r"thinking aloud</think>\boxed{5}", r"\boxed{5}"),
    ],
)
def test_what_stands_in_thinking_is_no_answer(text: str, answer: str) -> None:
    assert split(text, thinking=True).answer == answer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"\boxed{\frac{1}{2}}", [r"\frac{1}{2}"]),
        (r"\boxed{1} and \fbox{2}", ["1", "2"]),
        (r"\boxed {3 }", ["3"]),
        (r"\boxed{\{1, 2\}}", [r"\{1, 2\}"]),
        (r"\boxed{a \boxed{b}}", [r"a \boxed{b}"]),
        (r"\boxed{\boxed{5}", ["5"]),
        (r"\boxed{5", []),
        (r"}}}\boxed{5}", ["5"]),
        ("boxed{5}", []),
        (r"\\boxed{5}", []),
    ],
)
def test_boxes_are_found_with_nested_braces(text: str, found: list[str]) -> None:
    assert boxes(text) == found
    assert last_boxed(text) == (found[-1] if found else None)


@pytest.mark.parametrize("piece", ["{", "}", r"\boxed{", "{}", r"\boxed{5}", "\\"])
def test_boxes_take_linear_time(piece: str) -> None:
    began = time.perf_counter()
    boxes(piece * (200_000 // len(piece)))
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("text", "task", "fault"),
    [
        (THINKING, "math", ""),
        (r"<think>a</think>5", "math", "found 0"),
        (r"<think>a</think>5", "exact", ""),
        (r"<think>a</think>5", "open", ""),
        (r"<think>\boxed{5}</think>5", "stem", "found 0"),
        (r"<think>a</think>\boxed{5} \boxed{5}", "stem", "found 2"),
        (r"<think>a</think>\boxed{ }", "stem", "the box is empty"),
    ],
)
def test_the_format_of_mathematics_has_one_box(text: str, task: str, fault: str) -> None:
    found = format_fault(split(text, thinking=True), task)  # pyright: ignore[reportArgumentType]
    assert fault in found
    assert bool(fault) == bool(found)
