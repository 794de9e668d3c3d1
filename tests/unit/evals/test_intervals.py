"""Numbers worked out by hand, or taken from tables."""

from __future__ import annotations

import itertools
import random
from statistics import mean

import pytest

from halyard.evals.intervals import pass_at_k, rate_interval, wilson


@pytest.mark.parametrize(("n", "c"), [(1, 0), (4, 1), (5, 3), (6, 6)])
def test_pass_at_k_is_the_share_of_draws_with_a_hit(n: int, c: int) -> None:
    samples = [i < c for i in range(n)]
    for k in range(1, n + 1):
        draws = list(itertools.combinations(samples, k))
        assert pass_at_k(n, c, k) == pytest.approx(mean(any(draw) for draw in draws))


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 5), (4, 2, 0)])
def test_pass_at_k_refuses_what_makes_no_sense(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="cannot be estimated"):
        pass_at_k(n, c, k)


def test_wilson_as_in_the_tables() -> None:
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_one_sample_a_prompt_is_plain_wilson() -> None:
    rates = [1.0] * 30 + [0.0] * 10
    assert rate_interval(rates, 40) == pytest.approx((0.75, *wilson(0.75, 40)))


def test_samples_that_agree_count_once_a_prompt() -> None:
    rates = [1.0] * 30 + [0.0] * 10  # of four samples each, all alike
    assert rate_interval(rates, 160) == pytest.approx((0.75, *wilson(0.75, 40)))


def test_independent_samples_all_count() -> None:
    rates = [0.5] * 40  # two of four right everywhere: less spread than independence would give
    assert rate_interval(rates, 160) == pytest.approx((0.5, *wilson(0.5, 160)))


def test_all_right_is_still_uncertain() -> None:
    rate, low, high = rate_interval([1.0] * 20, 80)
    assert (rate, high) == (1.0, 1.0)
    assert low == pytest.approx(wilson(1.0, 20)[0])


def test_nothing_measured_says_nothing() -> None:
    assert rate_interval([], 0) == (0.0, 0.0, 1.0)


def test_the_interval_covers_the_truth_when_samples_of_a_prompt_are_alike() -> None:
    draw = random.Random(0)
    covered = 0
    for _ in range(400):
        chances = [draw.betavariate(0.6, 0.4) for _ in range(60)]  # mean 0.6, prompts very unlike each other
        rates = [mean(draw.random() < chance for _ in range(4)) for chance in chances]
        _, low, high = rate_interval(rates, 240)
        covered += low <= 0.6 <= high
    assert 0.92 <= covered / 400 <= 0.985
