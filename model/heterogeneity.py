"""Reasons to doubt that models can be merged, found before it is done.

Models tuned alike are better together; models tuned with other data and settings can collapse: in table 5 of
SAIL-VL2's report (arXiv 2509.14033) 74.91 and 74.54 became 76.60, and 74.54 and 75.41 became 12.86.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from model.likeness import Likeness, degrees
from model.lineage import Ancestor

ALIKE = 0.9
"""Models whose weights have a smaller cosine look heterogeneous."""
TASKS_ALIKE = 0.2
"""The same for task vectors."""
LENGTHS_ALIKE = 2.0
"""The same for how many times as far from the base the one is as the other, if it is more."""


def doubts(likeness: Sequence[Likeness], ancestry: Sequence[Ancestor]) -> list[str]:
    """Why models look heterogeneous, one sentence for each reason; empty where they do not.

    The rules: their manifests tell of different roles, of different kinds of training (a soup has none of its own), or
    of different weights to begin with. The cosine of their weights is below `ALIKE`: what is independent cancels out,
    and the mean of two models of equal length is sqrt((1 + cosine) / 2) as long (the quickstart's snapshots lie above
    0.97, one from another seed at 0.29). Against a base, the cosine of their task vectors is below `TASKS_ALIKE`, for
    models tuned on different things are close to orthogonal there (arXiv 2212.04089), or the one has moved more than
    `LENGTHS_ALIKE` times as far as the other, as with different settings.
    """
    found = []
    for pair in likeness:
        one, other = ancestry[pair.first], ancestry[pair.second]
        names = f"{one.name} and {other.name}" if one.name != other.name else f"{one.folder} and {other.folder}"
        found += [f"{names} {reason}" for reason in (*_by_family(one, other), *_by_place(pair))]
    return found


def _by_family(one: Ancestor, other: Ancestor) -> Iterator[str]:
    if one.manifest is None or other.manifest is None:
        return
    for key, what in (("role", "have different roles"), ("type", "come from different kinds of training")):
        values = one.manifest.lineage.get(key), other.manifest.lineage.get(key)
        if None not in values and "soup" not in values and values[0] != values[1]:
            yield f"{what} ({values[0]} and {values[1]})"
    if len(one.parents) == len(other.parents) == 1 and not _one_origin(one.parents[0], other.parents[0]):
        yield f"were tuned from different weights ({one.parents[0].name} and {other.parents[0].name})"


def _one_origin(one: Ancestor, other: Ancestor) -> bool:
    """Whether two parents are the same weights, by the best that both are known by: checksums, places, or names."""
    if one.manifest and other.manifest:
        return one.manifest.files == other.manifest.files
    if one.digest and other.digest:
        return one.digest == other.digest
    return (one.folder or one.name) == (other.folder or other.name)


def _by_place(pair: Likeness) -> Iterator[str]:
    if pair.cosine < ALIKE:
        left = math.sqrt((1 + pair.cosine) / 2)
        yield (
            f"lie {degrees(pair.cosine):.0f} degrees apart (cosine {pair.cosine:.2f}, expected {ALIKE:g} or more): "
            f"a mean of the two is only {left:.0%} as long as they are"
        )
    if pair.task_cosine is not None and pair.task_cosine < TASKS_ALIKE:
        yield f"have learnt different things (cosine of the task vectors {pair.task_cosine:.2f})"
    if pair.task_ratio is not None and pair.task_ratio > LENGTHS_ALIKE:
        yield f"have moved unequally far from the base ({pair.task_ratio:.1f} times as far)"
