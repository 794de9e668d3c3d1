"""The maths of merging: from the same tensor of several models, one tensor.

Everything is in float32 and on one tensor at a time; who calls streams the models through. A task vector is a model
less the base that it was tuned from; weights add up to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def average(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The weighted mean of tensors of one shape, float32.

    Source: model soups, arXiv 2203.05482, section 2 (there with equal weights).
    """
    total = torch.zeros(tensors[0].shape, dtype=torch.float32)
    for tensor, weight in zip(tensors, weights, strict=True):
        total.add_(tensor.to(torch.float32), alpha=weight)
    return total


def ties(vectors: Sequence[Tensor], weights: Sequence[float], density: float) -> Tensor:
    """One task vector of several, float32: trimmed, a sign elected, and the mean of those that have it.

    Where nobody has a value, or the votes are even, it is zero.

    Source: TIES-Merging, arXiv 2306.01708, algorithm 1, with weighted votes and means (equal ones are the paper's).
    Deviation: the share `density` is kept of each tensor, not of the whole model, which a stream never sees at once.
    """
    trimmed = [trim(vector, density) for vector in vectors]
    elected = average(trimmed, weights).sign_()
    total, voters = torch.zeros_like(elected), torch.zeros_like(elected)
    for vector, weight in zip(trimmed, weights, strict=True):
        agrees = (vector.sign() == elected) & (vector != 0)
        total.add_(vector.mul_(agrees), alpha=weight)
        voters.add_(agrees, alpha=weight)
    return total.div_(voters.masked_fill_(voters == 0, 1.0))


def trim(vector: Tensor, density: float) -> Tensor:
    """A copy in float32 of which the share `density` that is largest in magnitude is left, and zero in other places.

    The number kept is rounded up; those of the same magnitude as the smallest that is kept are kept, too.
    """
    vector = vector.to(torch.float32, copy=True)
    dropped = vector.numel() - math.ceil(round(density * vector.numel(), 6))
    if dropped <= 0:
        return vector
    magnitudes = vector.abs()
    threshold = magnitudes.flatten().kthvalue(dropped + 1).values
    return vector.mul_(magnitudes >= threshold)


def dare(
    vectors: Sequence[Tensor], weights: Sequence[float], density: float, generators: Sequence[torch.Generator]
) -> Tensor:
    """One task vector of several, float32: of each a random share `density` is left and divided by it, then the mean.

    What is left out at random is made good by the division: the expected value is the plain mean.

    Source: DARE, arXiv 2311.03099, equations 1-3, the drop rate p being 1 - `density`. Deviation: a weighted mean in
    place of task arithmetic's sum, so that a scale of 1 is an average; the paper's factor is the scale / models.
    """
    total = torch.zeros(vectors[0].shape, dtype=torch.float32)
    for vector, weight, generator in zip(vectors, weights, generators, strict=True):
        kept = torch.rand(vector.shape, generator=generator) < density
        total.add_(vector.to(torch.float32) * kept, alpha=weight / density)
    return total
