"""Which sequences of a step go into which micro-batch of which rank.

    sequences ──divide──▶ rank 0: [pack, pack, …]    every rank has the same number of packs, so that the
                          rank 1: [pack, pack, …]    ranks' collective operations always meet

A token costs the decoder the same whether it is text or stands for an image, but the pixels behind it cost the
tower, too: packs that are even in tokens alone leave a rank of many images behind. So both are balanced, each in
its own right, which evens out any sum of the two, whatever tower and decoder cost.

Source: the stream packing of SAIL-VL2 (arXiv 2509.14033), which balances visual tokens over devices; here a step's
sequences are known, so there is no buffer of candidates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halyard.cluster.types import TrainSequence

Division = list[list[list[int]]]
"""Indices of sequences by rank and pack."""


@dataclass(frozen=True, slots=True)
class _Bundle:
    """Sequences that show the same images, which a pack encodes once; most often a group, or a single sequence."""

    indices: tuple[int, ...]
    lengths: tuple[int, ...]
    pixels: int

    @property
    def tokens(self) -> int:
        return sum(self.lengths)

    def halves(self) -> tuple[_Bundle, _Bundle]:
        """The bundle in two, each with the images."""
        middle = len(self.indices) // 2
        return (
            _Bundle(self.indices[:middle], self.lengths[:middle], self.pixels),
            _Bundle(self.indices[middle:], self.lengths[middle:], self.pixels),
        )


def divide(sequences: Sequence[TrainSequence], *, ranks: int, tokens_per_pack: int) -> Division:
    """Indices of the sequences by rank and pack, balanced by tokens and by pixels.

    All ranks get the same number of packs (some may be empty, when there are fewer sequences than packs),
    and no pack holds more than `tokens_per_pack` tokens, except for one with a single longer sequence.
    Sequences that share one array of images stay together where they fit. The largest go first, each into the
    pack that it leaves most even; the same sequences always give the same division.
    """
    tokens = sum(len(one.token_ids) for one in sequences)
    count = ranks * max(1, math.ceil(tokens / (tokens_per_pack * ranks)))
    bundles = _bundles(sequences)
    while (packs := _fill(bundles, count, tokens_per_pack)) is None:
        count += ranks
    return _deal(packs, ranks)


@dataclass(slots=True)
class _Pack:
    indices: list[int]
    share: np.ndarray
    """Of all tokens, and of all pixels."""


def _bundles(sequences: Sequence[TrainSequence]) -> list[_Bundle]:
    """The sequences by the array of their images; those of text alone are a bundle each."""
    members: dict[int, list[int]] = {}
    for index, one in enumerate(sequences):
        key = -index - 1 if one.pixel_values is None else id(one.pixel_values)
        members.setdefault(key, []).append(index)
    return [_bundle(sequences, indices) for indices in members.values()]


def _bundle(sequences: Sequence[TrainSequence], indices: Sequence[int]) -> _Bundle:
    pixels = sequences[indices[0]].pixel_values
    lengths = tuple(len(sequences[index].token_ids) for index in indices)
    return _Bundle(tuple(indices), lengths, 0 if pixels is None else pixels.size)


def _fill(bundles: Sequence[_Bundle], count: int, tokens_per_pack: int) -> list[_Pack] | None:
    """The bundles in `count` packs; None if some sequence finds no room. A bundle that finds none is cut in two."""
    totals = np.array([sum(one.tokens for one in bundles), max(1, sum(one.pixels for one in bundles))], dtype=float)
    shares, room = np.zeros((count, 2)), np.full(count, tokens_per_pack)
    packed: list[list[int]] = [[] for _ in range(count)]
    waiting = sorted(bundles, key=lambda one: (_weight(one, totals), -one.indices[0]))
    while waiting:
        one = waiting.pop()
        share = np.array([one.tokens, one.pixels]) / totals
        fitting = np.flatnonzero((room >= one.tokens) | (room == tokens_per_pack) & (len(one.indices) == 1))
        if not len(fitting):
            if len(one.indices) == 1:
                return None
            waiting += reversed(one.halves())
            continue
        best = fitting[np.argmin(shares[fitting] @ share)]  # which adds least to the sum of all shares squared
        shares[best] += share
        room[best] -= one.tokens
        packed[best] += one.indices
    return [_Pack(sorted(indices), share) for indices, share in zip(packed, shares, strict=True)]


def _weight(bundle: _Bundle, totals: np.ndarray) -> float:
    return bundle.tokens / totals[0] + bundle.pixels / totals[1]


def _deal(packs: list[_Pack], ranks: int) -> Division:
    """Packs to ranks: neighbours in size go side by side, and the rank that has least so far gets the largest."""
    packs = sorted(packs, key=lambda one: -one.share.sum())
    division: Division = [[] for _ in range(ranks)]
    loads = np.zeros(ranks)
    for start in range(0, len(packs), ranks):
        for rank, one in zip(np.argsort(loads, kind="stable"), packs[start : start + ranks], strict=True):
            division[rank].append(one.indices)
            loads[rank] += one.share.sum()
    return division
