from __future__ import annotations

from typing import Any

import pytest

from configs.training import OptimizerConfig
from halyard.cluster.schedules import learning_rate


def rates(steps: int, **settings: Any) -> list[float]:
    config = OptimizerConfig(learning_rate=1.0, **settings)
    return [learning_rate(config, step=step, steps=steps) for step in range(steps)]


def test_warm_up_rises_to_the_peak_and_constant_stays() -> None:
    assert rates(6, warmup_steps=4) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_linear_reaches_its_share_at_the_last_step() -> None:
    assert rates(5, schedule="linear", warmup_steps=1, min_share=0.2) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])


def test_cosine_is_half_way_down_in_the_middle() -> None:
    # cos(pi / 4) = 0.70711, cos(3 pi / 4) = -0.70711
    assert rates(4, schedule="cosine") == pytest.approx([0.853553, 0.5, 0.146447, 0.0], abs=1e-6)


def test_wsd_holds_then_falls_over_the_last_fifth() -> None:
    assert rates(10, schedule="wsd", warmup_steps=2) == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 1, 0.5, 0.0])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "wsd"])
def test_steps_beyond_the_last_have_its_rate(schedule: Any) -> None:
    config = OptimizerConfig(learning_rate=1.0, schedule=schedule, min_share=0.1)
    expected = 1.0 if schedule == "constant" else 0.1
    assert learning_rate(config, step=40, steps=10) == pytest.approx(expected)


def test_a_warm_up_longer_than_the_stage_never_reaches_the_peak() -> None:
    assert rates(2, schedule="cosine", warmup_steps=4) == [0.25, 0.5]
