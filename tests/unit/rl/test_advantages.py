from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.advantages import advantages, all_equal


def test_group_mean_by_hand() -> None:
    assert advantages([1.0, 0.0, 0.5, 0.5], "group_mean") == [0.5, -0.5, 0.0, 0.0]


def test_group_mean_std_by_hand() -> None:
    # mean 2, sample variance (4 + 1 + 1 + 4 + 0) / 4 = 2.5
    found = advantages([0.0, 1.0, 3.0, 4.0, 2.0], "group_mean_std")
    assert found == pytest.approx([-2 / 2.5**0.5, -1 / 2.5**0.5, 1 / 2.5**0.5, 2 / 2.5**0.5, 0.0])


def test_failed_verdicts_are_left_out_of_mean_and_deviation() -> None:
    assert advantages([None, 1.0, 0.0, None, 0.0, 0.0], "group_mean_std") == [None, 1.5, -0.5, None, -0.5, -0.5]


@pytest.mark.parametrize("rewards", [[1.0, None, None], [None, None], [None, 0.0]])
def test_one_judged_answer_has_nothing_to_be_better_than(rewards: list[float | None]) -> None:
    assert advantages(rewards, "group_mean") == [None] * len(rewards)


def test_equal_rewards_carry_no_signal_even_when_their_last_bits_differ() -> None:
    rewards = [0.9 * 1 + 0.1 * 1, 0.7 + 0.3, 1.0 - 1e-12]
    assert all_equal(rewards)
    assert advantages(rewards, "group_mean_std") == [0.0, 0.0, 0.0]


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=16), st.floats(0.5, 4), st.floats(-3, 3))
def test_scaling_and_shifting_rewards_changes_nothing(rewards: list[float], scale: float, shift: float) -> None:
    if max(rewards) - min(rewards) < 1e-2:
        return
    moved = advantages([reward * scale + shift for reward in rewards], "group_mean_std")
    assert moved == pytest.approx(advantages(rewards, "group_mean_std"), abs=1e-6)
    assert sum(value for value in moved if value is not None) == pytest.approx(0, abs=1e-6)
