"""Test cases as data sets have them, and what counts as the same output."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from rewards.sample import Sample
from rewards.sandbox.program import plain
from rewards.verifiers.cases import Case, agrees, cases_of
from rewards.verifiers.code import program_in

ADD = Case(3, function="add", arguments=(1, 2))


def sample(reference: str | None, **metadata: Any) -> Sample:
    return Sample(
        prompt="", response="", answer="", reference=reference, task="exact", thinking=False, metadata=metadata
    )


@pytest.mark.parametrize(
    ("written", "case"),
    [
        ({"inputs": ["1 2"], "outputs": ["3"]}, Case("3", stdin="1 2")),
        ({"inputs": [["1", "2"]], "outputs": [["3", "4"]]}, Case("3\n4", stdin="1\n2")),
        ({"inputs": [[1, 2]], "outputs": [3], "fn_name": "add"}, ADD),
        ([{"input": "1 2", "output": "3", "testtype": "stdin"}], Case("3", stdin="1 2")),
        ([{"input": "1\n2", "output": "3", "testtype": "functional", "fn_name": "add"}], ADD),
        ([{"input": [1, 2], "output": 3, "fn_name": "add"}], ADD),
        (["assert add(1, 2) == 3"], ADD),
        (["assert f((1, {2: 'x'})) == {3}"], Case({3}, function="f", arguments=((1, {2: "x"}),))),
    ],
)
def test_cases_are_read(written: Any, case: Case) -> None:
    assert cases_of(sample(json.dumps(written))) == [case]
    assert cases_of(sample(None, tests=written)) == [case]


@pytest.mark.parametrize(
    "written",
    [
        None, "", "5", "{", "[]", "[5]", "{}", '{"inputs": ["1"], "outputs": []}', '[{"input": "1"}]',
        '["assert f(1) > 2"]', '["assert f(g(1)) == 2"]', '["assert f(1) == open(2)"]', '["f(1) == 2"]', '["assert"]',
        '[{"input": "1", "output": "2", "testtype": "functional"}]', "[" * 100_000,
    ],
)  # fmt: skip
def test_cases_in_no_form_are_refused(written: str | None) -> None:
    with pytest.raises(ValueError, match="expected test cases as JSON"):
        cases_of(sample(written))


@pytest.mark.parametrize(
    ("output", "expected", "same"),
    [
        ("3\n", "3", True), ("3 \n\n", "3\n", True), ("3\n4", "3\n4\n", True), ("3 4", "3\n4", False), ("", "3", False),
        ("3\n3", "3", False), ("0.3333333", "0.33333333", True), ("0.334", "0.333", False), ("3", "3.0", False),
        ("3.0", "3.0000", True), ("1000001", "1000000", False), ("a  b", "a b", True), ("A", "a", False),
        ("nan", "nan", True), ("1.0", "nan", False), ("1e-9", "0.0", True), ("inf", "1.5", False),
    ],
)  # fmt: skip
def test_lines_are_compared_word_by_word(output: str, expected: str, same: bool) -> None:
    assert agrees(output, Case(expected, stdin="x"), 1e-6) == same


@pytest.mark.parametrize(
    ("output", "expected", "same"),
    [
        ("3", 3, True), ("3.0", 3, True), ("3.0000001", 3.0, True), ("3.1", 3.0, False), ("true", True, True),
        ('"3"', 3, False), ("null", None, True), ("[1, [2]]", [1, (2,)], True), ("[2, 1]", [1, 2], False),
        ('{"set": [1, 2]}', [2, 1], True), ('{"set": [1, 2]}', {1, 2}, True), ("[1, 2]", {1, 2}, False),
        ('{"dict": [["a", 1.0000001]]}', {"a": 1.0}, True), ('{"dict": [[1, 2]]}', {1: 2}, True),
        ('{"dict": [[1, 2]]}', {"1": 2}, False), ("", 3, False), ("3 3", 3, False), ("[" * 100_000, 3, False),
        ("1" * 5000, 3, False), ("NaN", 3.0, False), ('"\\ud800"', "x", False),
    ],
)  # fmt: skip
def test_results_are_compared_by_value(output: str, expected: Any, same: bool) -> None:
    assert agrees(output, Case(expected, function="f"), 1e-6) == same


def test_what_a_call_returns_is_made_plain() -> None:
    assert plain((1, {2, 1}, {"b": None, "a": range(2)})) == [
        1,
        {"set": [1, 2]},
        {"dict": [["a", [0, 1]], ["b", None]]},
    ]
    with pytest.raises(TypeError, match="type object"):
        plain(object())


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        ("print(1)", "print(1)"), ("```python\nprint(1)\n```", "print(1)"), ("a\n```\nx = 1\n```\nb", "x = 1"),
        ("```py\na\n```\n```python\nb\n```", "b"), ("```python\na\n```\n```text\nb\n```", "a"), ("```python\na", ""),
        ("```python\na\n```\n```python\nb", "a"), ("  ```python\n  a\n  ```", "  a"), ("", ""),
    ],
)  # fmt: skip
def test_the_last_finished_block_is_the_program(answer: str, program: str) -> None:
    assert program_in(answer) == program


@pytest.mark.parametrize("piece", ["```python\n", "```\n", "`", "```python\nx\n```\n"])
def test_blocks_take_linear_time(piece: str) -> None:
    began = time.process_time()
    program_in(piece * (500_000 // len(piece)))
    assert time.process_time() - began < 2
