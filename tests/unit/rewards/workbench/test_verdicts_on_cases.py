"""Verdicts against labels, and two rewards against each other, by hand calculation."""

from __future__ import annotations

import math

import pytest

from halyard.data.types import Verdict
from rewards.workbench.cases import Case, Expected, sample
from rewards.workbench.comparison import compare as compare_two
from rewards.workbench.labels import Scored, by_kind, compare, outcome, tally


def case(expected: Expected, kind: str = "") -> Case:
    return Case(name="one", sample=sample("5"), expected=expected, kind=kind)


def verdict(reward: float | None) -> Verdict:
    return Verdict(reward=reward, status="failed" if reward is None else "ok")


@pytest.mark.parametrize(
    ("expected", "reward", "wanted"),
    [
        (True, 1.0, "right"),
        (True, 0.5, "right"),  # the threshold itself is paid
        (True, 0.49, "false negative"),
        (False, 0.49, "right"),
        (False, 0.5, "false positive"),
        (0.25, 0.25, "right"),
        (0.25, 0.3, "other number"),
        (1.0, 0.9, "other number"),  # a number is that number, not "paid"
        (None, 0.0, "unlabelled"),
        (True, None, "failed"),
        (False, None, "failed"),  # no verdict is not a refusal
    ],
)
def test_how_a_verdict_compares_with_its_label(expected: Expected, reward: float | None, wanted: str) -> None:
    assert outcome(case(expected), verdict(reward)) == wanted


def scored(*cases: tuple[Expected, float | None, str]) -> list[Scored]:
    return compare([case(expected, kind) for expected, _, kind in cases], [verdict(reward) for _, reward, _ in cases])


def test_accuracy_is_over_labelled_cases_and_kind_by_kind() -> None:
    found = scored((True, 1, "a"), (False, 1, "a"), (True, None, "b"), (None, 1, ""), (False, 0, "b"))
    total = tally(found)
    assert (total.labelled, total.accuracy) == (4, 0.5)
    assert [(kind.kind, kind.labelled, kind.accuracy) for kind in by_kind(found)] == [
        ("a", 2, 0.5),
        ("b", 2, 0.5),
        ("other", 0, None),
    ]
    assert by_kind(scored((True, 1, ""))) == []


def test_two_rewards_side_by_side() -> None:
    labels = (True, False, True, True)
    left = scored(*zip(labels, (1, 1, None, 0.2), "aaaa", strict=True))
    right = scored(*zip(labels, (1, 0, 1, 0.3), "aaaa", strict=True))
    found = compare_two(left, right)
    assert found.agreement == 0.25
    assert [pair.gap for pair in found.disagreements] == [math.inf, 1, pytest.approx(0.1)]
    assert (found.only_left, found.only_right) == (0, 2)


def test_two_failures_agree() -> None:
    found = compare_two(scored((True, None, "")), scored((True, None, "")))
    assert (found.agreement, found.disagreements) == (1.0, [])
