"""Merging one tensor: every value here was calculated by hand from the papers' algorithms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.merging import average, dare, ties, trim


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_the_average_is_weighted_and_float32() -> None:
    one, other = torch.tensor([1.0, 2.0], dtype=torch.bfloat16), torch.tensor([5.0, -2.0], dtype=torch.bfloat16)
    merged = average([one, other], [0.75, 0.25])
    assert merged.dtype == torch.float32
    assert merged.tolist() == [2.0, 1.0]  # 0.75 * 1 + 0.25 * 5; 0.75 * 2 - 0.25 * 2


def test_trimming_keeps_the_largest_magnitudes_and_leaves_its_input() -> None:
    vector = torch.tensor([0.1, -4.0, 2.0, 0.3, -0.2])
    assert trim(vector, 0.4).tolist() == [0.0, -4.0, 2.0, 0.0, 0.0]
    assert vector[0] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("elements", "density", "kept"),
    [(10, 0.2, 2), (10, 0.21, 3), (100, 0.07, 7), (1, 0.2, 1), (4, 1.0, 4), (3, 1e-6, 1), (0, 0.2, 0)],
)
def test_trimming_rounds_the_number_kept_up(elements: int, density: float, kept: int) -> None:
    assert int(trim(torch.arange(1.0, elements + 1), density).count_nonzero()) == kept


def test_trimming_keeps_a_scalar_and_the_shape() -> None:
    assert trim(torch.tensor(3.0), 0.2).tolist() == 3.0
    assert trim(torch.ones(2, 3), 0.5).shape == (2, 3)


def test_ties_by_hand() -> None:
    """Half of four values is kept of each of three vectors; their votes, and the mean of those that agree.

    trimmed:  [ 4, -3,  0,  0]
              [ 6,  0, -2,  0]
              [-2,  5,  0,  0]
    sums:     [ 8,  2, -2,  0] so the signs are + + - 0
    means:    [(4 + 6) / 2, 5, -2, 0]
    """
    vectors = [
        torch.tensor([4.0, -3.0, 1.0, 0.5]),
        torch.tensor([6.0, 1.0, -2.0, 0.0]),
        torch.tensor([-2.0, 5.0, 1.0, -1.0]),
    ]
    assert ties(vectors, [1 / 3] * 3, 0.5).tolist() == pytest.approx([5.0, 5.0, -2.0, 0.0])


def test_ties_with_weights() -> None:
    """0.75 * 1 - 0.25 * 2 > 0 elects plus, and the mean of those that agree is of the first alone: 1."""
    merged = ties([torch.tensor([1.0, 2.0]), torch.tensor([-2.0, 6.0])], [0.75, 0.25], 1.0)
    assert merged.tolist() == [1.0, 3.0]  # 0.75 * 2 + 0.25 * 6


def test_an_even_vote_of_ties_is_zero() -> None:
    assert ties([torch.tensor([2.0]), torch.tensor([-2.0])], [0.5, 0.5], 1.0).tolist() == [0.0]


def test_ties_does_not_change_what_it_is_given() -> None:
    vectors = [torch.tensor([1.0, 2.0]), torch.tensor([-3.0, 4.0])]
    before = [vector.clone() for vector in vectors]
    ties(vectors, [0.5, 0.5], 1.0)
    assert all(map(torch.equal, vectors, before))


def test_dare_that_keeps_all_is_the_average() -> None:
    vectors: list[Tensor] = [torch.tensor([1.0, -2.0]), torch.tensor([3.0, 4.0])]
    assert dare(vectors, [0.5, 0.5], 1.0, generators(0, 1)).tolist() == [2.0, 1.0]


def test_dare_leaves_a_share_and_scales_it() -> None:
    """Of 100,000 ones a tenth is left, each of which is ten: 10,000 +- 5 standard deviations of 95."""
    merged = dare([torch.ones(100_000)], [1.0], 0.1, generators(3))
    assert merged.unique().tolist() == pytest.approx([0.0, 10.0])
    assert abs(int(merged.count_nonzero()) - 10_000) < 475


def test_dare_draws_for_each_model_alone() -> None:
    """Two models, half of each left: a quarter of the places each have none, both, the one, the other."""
    vectors = [torch.ones(10_000), torch.full((10_000,), 3.0)]
    merged = dare(vectors, [0.5, 0.5], 0.5, generators(0, 1))
    values, counts = merged.unique(return_counts=True)
    assert values.tolist() == [0.0, 1.0, 3.0, 4.0]  # 0.5 * 1 / 0.5 and 0.5 * 3 / 0.5
    assert all(abs(count - 2500) < 220 for count in counts.tolist())  # 5 standard deviations of 43
