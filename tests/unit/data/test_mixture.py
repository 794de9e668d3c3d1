"""The endless stream: weights hold, epochs are whole, and a position is all it takes to go on."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halyard.data.mixture import Mixture
from halyard.data.sources import Dataset
from halyard.data.types import Message, Row


def dataset(sizes: list[int], weights: list[float]) -> Dataset:
    turn = (Message(role="user", text="?"),)
    sources = tuple(tuple(Row(id=f"{s}-{i}", messages=turn) for i in range(size)) for s, size in enumerate(sizes))
    return Dataset(sources=sources, weights=tuple(weights))


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=5), st.integers(1, 200))
def test_the_shares_hold_at_every_length(weights: list[float], length: int) -> None:
    counts = Counter(row.id.split("-")[0] for row in Mixture(dataset([7] * len(weights), weights), seed=0).take(length))
    for source, weight in enumerate(weights):
        assert abs(counts[str(source)] - length * weight / sum(weights)) < len(weights)


def test_every_epoch_of_a_source_holds_each_row_once_in_a_new_order() -> None:
    stream = Mixture(dataset([20], [1.0]), seed=1)
    epochs = [[row.id for row in stream.take(20)] for _ in range(3)]
    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize("position", [0, 1, 9, 50, 123])
def test_seek_goes_on_exactly(position: int) -> None:
    data = dataset([5, 11, 3], [0.5, 0.3, 0.2])
    stream = Mixture(data, seed=3)
    stream.take(position)
    expected = stream.take(40)
    again = Mixture(data, seed=3)
    again.take(77)
    again.seek(position)
    assert again.position == position
    assert again.take(40) == expected
    assert again.position == position + 40


def test_the_seed_decides_the_order() -> None:
    first, second = (Mixture(dataset([50], [1.0]), seed=seed).take(50) for seed in (0, 1))
    assert first != second
