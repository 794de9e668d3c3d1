"""Metrics of a stage as they grow, and how they become curves."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.recipes_for_tests import written

from configs.load import load_recipe
from halyard.runs.folder import RunFolder
from serving.dashboard.history import MOST_POINTS, History, keys_under, series, smooth, value
from serving.dashboard.parts import duration, number


def test_lines_are_read_once_and_anew_after_a_resume(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "mine", load_recipe(written(tmp_path)).recipe)
    stage, history = run.stage(2, "rl"), History()
    assert history.lines(run.path, "rl") == []
    for step in (1, 2, 3):
        stage.record({"step": step, "reward": step})
        assert [line["step"] for line in history.lines(run.path, "rl")] == list(range(1, step + 1))
    stage.truncate(1)
    stage.record({"step": 2, "reward": 20})
    assert [line["reward"] for line in history.lines(run.path, "rl")] == [1, 20]


def test_what_is_no_number_is_no_point() -> None:
    lines = [{"step": 1, "a": {"b": 2}}, {"step": 2, "a": None}, {"step": 3, "a": {"b": True}}, {"step": 4}]
    assert series(lines, "a.b") == [(1.0, 2.0)]
    assert value(lines[1], "a.b") is None
    assert keys_under(lines, "a") == ["b"]


def test_many_points_become_means_of_even_windows() -> None:
    lines = [{"step": step, "y": step % 2} for step in range(1, 4 * MOST_POINTS + 1)]
    points = series(lines, "y")
    assert len(points) == MOST_POINTS
    assert {y for _, y in points} == {0.5}
    assert points[-1][0] == 4 * MOST_POINTS


def test_smoothing_is_the_bias_corrected_exponential_mean() -> None:
    # By hand, weight 0.5: 4; (4 + 2 * 8) / 3; (4 + 2 * 8 + 4 * 0) / 7
    assert smooth([(1, 4.0), (2, 8.0), (3, 0.0)], 0.5) == [
        (1, 4.0),
        (2, pytest.approx(20 / 3)),
        (3, pytest.approx(20 / 7)),
    ]
    assert smooth([(1, 4.0), (2, 8.0)], 0.0) == [(1, 4.0), (2, 8.0)]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0"),
        (0.80588, "0.806"),
        (23.311, "23.3"),
        (2153.15, "2,153"),
        (4.4e-7, "4.4e-07"),
    ],
)
def test_numbers_are_written_as_people_read_them(value: float | None, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.42, "0.4 s"), (12.4, "12 s"), (352.06, "5 min 52 s"), (7320, "2 h 2 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
