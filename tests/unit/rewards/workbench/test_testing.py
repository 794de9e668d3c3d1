"""The helper for researchers' own unit tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.rewards import weak

from halyard.errors import ConfigError
from halyard.testing import check_cases, check_probe, verdict

FILE = Path(weak.__file__)


def test_a_verdict_on_an_answer_or_a_response() -> None:
    assert verdict(weak.strict, answer="5", reference="5").reward == 1.0
    assert verdict(weak.strict, answer="6", reference="5").reason.endswith("not the same")
    assert verdict(f"{FILE}:strict", response="<think>2 + 3</think>5", reference="5", scale=0.5).reward == 0.5
    with pytest.raises(ConfigError, match="expected either answer or response"):
        verdict(weak.strict, reference="5")


async def test_it_works_inside_a_running_loop() -> None:
    assert verdict(weak.constant, answer="5").reward == 1.0


def test_cases_that_are_not_judged_as_labelled_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(
        '{"answer": "5", "reference": "5", "expected": true}\n{"answer": "6", "reference": "5", "expected": true}\n'
    )
    check_cases(weak.strict, file, gate=0.5)
    with pytest.raises(AssertionError) as failure:
        check_cases(weak.strict, file)
    assert "1 of 2 cases" in str(failure.value)
    assert r"line 2: false negative: '\\boxed{6}', expected True, got 0.0" in str(failure.value)


def test_unlabelled_cases_check_nothing(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text('{"answer": "5", "reference": "5"}\n')
    with pytest.raises(ConfigError, match="no case has an expected"):
        check_cases(weak.strict, file)


def test_attacks_that_earn_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text('{"answer": "5", "reference": "5", "expected": true}\n')
    check_probe(weak.strict, file)
    with pytest.raises(AssertionError, match=r"injection: .* earned 1"):
        check_probe(weak.obeys, file)
