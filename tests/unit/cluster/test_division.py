"""Which sequences go together, and how even packs and ranks become."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from halyard.cluster.division import Division, divide
from halyard.cluster.types import TrainSequence


def texts(lengths: Sequence[int]) -> list[TrainSequence]:
    return [sequence(length, None) for length in lengths]


def sequence(length: int, images: np.ndarray | None) -> TrainSequence:
    zeros = np.zeros(length)
    return TrainSequence(token_ids=zeros, loss_mask=zeros > 0, weights=zeros, pixel_values=images)


def images(count: int) -> np.ndarray:
    return np.zeros((count, 3, 2, 2), np.float32)


def loads(sequences: Sequence[TrainSequence], division: Division) -> np.ndarray:
    """Tokens and distinct images [ranks, packs, 2]."""

    def load(pack: Sequence[int]) -> tuple[int, int]:
        members = [sequences[index] for index in pack]
        shown = {id(one.pixel_values): len(one.pixel_values) for one in members if one.pixel_values is not None}
        return sum(len(one.token_ids) for one in members), sum(shown.values())

    return np.array([[load(pack) for pack in packs] for packs in division])


lengths = st.lists(st.integers(1, 50), min_size=1, max_size=60)


@st.composite
def mixtures(draw: st.DrawFn) -> list[TrainSequence]:
    """Groups of one to four sequences, each with its images or none."""
    made = []
    for group in draw(st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=4), min_size=1, max_size=20)):
        shown = draw(st.none() | st.integers(1, 4).map(images))
        made += [sequence(length, shown) for length in group]
    return made


@given(sequences=mixtures(), ranks=st.integers(1, 4), tokens=st.integers(20, 200))
def test_every_division_is_whole_bounded_and_even(sequences: list[TrainSequence], ranks: int, tokens: int) -> None:
    division = divide(sequences, ranks=ranks, tokens_per_pack=tokens)
    assert len(division) == ranks
    assert len({len(packs) for packs in division}) == 1
    assert sorted(index for packs in division for pack in packs for index in pack) == list(range(len(sequences)))
    for packs in division:
        for pack in packs:
            assert len(pack) <= 1 or sum(len(sequences[index].token_ids) for index in pack) <= tokens


@given(lengths=lengths, ranks=st.integers(1, 4))
def test_packs_of_text_differ_by_one_sequence_at_most(lengths: list[int], ranks: int) -> None:
    sequences = texts(lengths)
    tokens = loads(sequences, divide(sequences, ranks=ranks, tokens_per_pack=10_000))[..., 0]
    assert tokens.max() - tokens.min() <= max(lengths)


def test_a_division_by_hand() -> None:
    # 24 tokens in packs of 8 on 2 ranks: 2 packs each. Longest first into the emptiest: 8 | 6 | 5 | 5, no two fit.
    # The first rank gets 8, the second 6; the second is now behind, and is dealt the next first.
    assert divide(texts([8, 6, 5, 5]), ranks=2, tokens_per_pack=8) == [[[0], [3]], [[1], [2]]]


def test_ranks_share_images_as_they_share_tokens() -> None:
    """Long texts beside short sequences of many images: even in tokens alone, a rank may get all of the images."""
    sequences = [*texts([100] * 8), *(sequence(100, images(6)) for _ in range(8))]
    load = loads(sequences, divide(sequences, ranks=4, tokens_per_pack=400)).sum(1)
    assert load.tolist() == [[400, 12]] * 4


def test_a_group_stays_with_its_images() -> None:
    """Four groups of eight in four packs: each pack shows one image, where scattered groups would show four in each."""
    groups = [images(1) for _ in range(4)]
    sequences = [sequence(10 + number % 3, groups[number % 4]) for number in range(32)]
    (packs,) = loads(sequences, divide(sequences, ranks=1, tokens_per_pack=100))
    assert packs[:, 1].tolist() == [1, 1, 1, 1]


def test_a_group_that_no_pack_can_hold_is_cut() -> None:
    shown = images(1)
    sequences = [sequence(30, shown) for _ in range(8)]
    division = divide(sequences, ranks=2, tokens_per_pack=70)
    assert loads(sequences, division)[..., 0].tolist() == [[60, 60], [60, 60]]
