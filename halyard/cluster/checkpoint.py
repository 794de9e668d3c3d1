"""What a learner resumes from, bit for bit, on any number of ranks and under any ZeRO stage.

Nothing random has to be kept: a rank's generator is seeded anew for every step, from the run's seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

from halyard.cluster import checkpoint_files, zero
from halyard.errors import SnapshotError
from model.weight_files import Layout, write_safetensors

_WEIGHT = "weight"

Named = Sequence[tuple[str, nn.Parameter]]


def save(folder: Path, master: zero.MasterState, weights: Named, *, steps: int) -> None:
    """Write a checkpoint from the first rank; all ranks take part. It has reached the disk on return."""
    tensors = _gather(master, weights)
    if zero.rank():
        for _ in tensors:
            continue
        return
    folder.mkdir(parents=True, exist_ok=True)
    sha = write_safetensors(folder / checkpoint_files.STATE, _layout(weights), tensors, durable=True)
    checkpoint_files.finish(folder, state_sha=sha, steps=steps)


def load(folder: Path, master: zero.MasterState, weights: Named) -> int:
    """Set weights and optimiser to those of a verified checkpoint; returns the optimiser steps it had taken.

    Raises:
        SnapshotError: it is of another policy, or of one of which other parts were frozen.
    """
    steps = checkpoint_files.steps(folder)
    with safe_open(folder / checkpoint_files.STATE, framework="pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        expected = {name: tuple(shape) for name, _, shape in _layout(weights)}
        if shapes != expected:
            odd = sorted(set(shapes.items()) ^ set(expected.items()))[0]
            raise SnapshotError(f"the checkpoint {folder} does not fit this learner: they differ in {odd[0]} {odd[1]}")
        for name, parameter in weights:
            weight = file.get_tensor(f"{_WEIGHT}.{name}")
            with zero.whole(parameter, modify=True) as tensor:
                tensor.copy_(weight)
            for moment in _kept(parameter):
                values = weight if moment is None else file.get_tensor(f"{moment}.{name}")
                master.restore(parameter, moment, values)
    master.set_step(steps)
    return steps


def _kept(parameter: nn.Parameter) -> list[str | None]:
    """What the optimiser holds of a parameter: its weight (None) and moments, or nothing where it is frozen."""
    return [None, *zero.MasterState.MOMENTS] if parameter.requires_grad else []


def _layout(weights: Named) -> Layout:
    return [
        (f"{moment or _WEIGHT}.{name}", torch.float32, zero.shape(parameter))
        for name, parameter in weights
        for moment in _kept(parameter) or [None]
    ]


def _gather(master: zero.MasterState, weights: Named) -> Iterator[tuple[str, torch.Tensor]]:
    for name, parameter in weights:
        if not parameter.requires_grad:
            with zero.whole(parameter) as tensor:
                yield f"{_WEIGHT}.{name}", tensor.float()
        for moment in _kept(parameter):
            yield f"{moment or _WEIGHT}.{name}", master.gather(parameter, moment)
