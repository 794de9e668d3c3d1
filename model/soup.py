"""Model soup: several models of one shape merged into one, tensor by tensor, as a snapshot that names its parents."""

from __future__ import annotations

import copy
import hashlib
import itertools
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from halyard.errors import ConfigError, SnapshotError
from model import merging
from model.heterogeneity import doubts
from model.likeness import Likeness, measure, refuse_unlike
from model.lineage import Ancestor, digest, trace
from model.snapshot import MANIFEST, write_manifest
from model.weight_files import INDEX, SHARD_BYTES, write_sharded

Method = Literal["uniform", "weighted", "ties", "dare", "greedy"]
TASK_METHODS: tuple[Method, ...] = ("ties", "dare")
DENSITY: dict[Method, float] = {"ties": 0.2, "dare": 0.1}
"""What the papers keep of a task vector: TIES the largest 20%, DARE 10% at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """How models are merged: `weights` add up to 1; density, scale and seed are None where the method has none."""

    method: Method
    weights: tuple[float, ...]
    density: float | None = None
    scale: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasting:
    """What is known before the merge: the pairs' likeness, each model's ancestry, and reasons to doubt, if any."""

    likeness: list[Likeness]
    ancestry: list[Ancestor]
    doubts: list[str]


class Soup:
    """Models that fit together, and their base, if there is one."""

    def __init__(self, models: Sequence[Path], base: Path | None = None) -> None:
        """Look at all folders, without reading a weight.

        Raises:
            SnapshotError: they are not of one architecture, tokenizer and shape, or one is given twice.
        """
        folders = [folder.resolve() for folder in (*models, *([base] if base else []))]
        for one, other in itertools.combinations(folders, 2):
            if one == other:
                raise SnapshotError(f"{one} is given twice: a soup needs different models, and a base that is none")
        weights = refuse_unlike(folders)
        self.models = weights[: len(models)]
        self.base = weights[-1] if base else None

    def taste(self) -> Tasting:
        """How alike the models are; reads every weight once.

        Raises:
            SnapshotError: a weight is not finite, or a manifest of an ancestor is broken.
        """
        ancestry = [trace(model.folder) for model in self.models]
        likeness = measure(self.models, self.base)
        return Tasting(likeness=likeness, ancestry=ancestry, doubts=doubts(likeness, ancestry))

    def only(self, models: Sequence[int]) -> Soup:
        """The soup of the models at these positions alone."""
        part = copy.copy(self)
        part.models = [self.models[model] for model in models]
        return part

    def parent(self, model: int) -> dict[str, Any]:
        """How a manifest names the model at this position."""
        return _told(trace(self.models[model].folder))

    def write(
        self,
        folder: Path,
        merge: Merge,
        *,
        version: str,
        told: Mapping[str, Any] | None = None,
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        """Nothing; the empty folder is a snapshot of this version, everything but weights as the first model has it.

        `told` is what else its lineage has.

        Raises:
            SnapshotError: a weight of the result is not finite, or a file cannot be read or written.
        """
        first = self.models[0]
        for file in sorted(first.folder.iterdir()):
            if file.suffix in (".json", ".jinja", ".txt") and file.name not in (INDEX, MANIFEST):
                shutil.copyfile(file, folder / file.name)
        write_sharded(folder, first.layout, self._stream(merge), most=shard_bytes)
        write_manifest(folder, version=version, parent=None, lineage=self._lineage(merge) | dict(told or {}))

    def _stream(self, merge: Merge) -> Iterator[tuple[str, Tensor]]:
        """Each merged tensor in the first model's dtype; whole numbers are the same in all."""
        for key, dtype, _ in self.models[0].layout:
            if not dtype.is_floating_point:
                yield key, self.models[0].read(key)
                continue
            tensor = self._merged(key, merge).to(dtype)
            if not bool(tensor.isfinite().all()):
                raise SnapshotError(f"the merged weight {key} is not finite in {dtype}: lower the scale")
            yield key, tensor

    def _merged(self, key: str, merge: Merge) -> Tensor:
        if merge.density is None or merge.scale is None or self.base is None:
            return merging.average([model.read(key) for model in self.models], merge.weights)
        origin = self.base.read(key).to(torch.float32)
        vectors = [model.read(key).to(torch.float32) - origin for model in self.models]
        if merge.method == "ties":
            vector = merging.ties(vectors, merge.weights, merge.density)
        else:
            chances = [_chance(merge.seed, number, key) for number in range(len(vectors))]
            vector = merging.dare(vectors, merge.weights, merge.density, chances)
        return vector.mul_(merge.scale).add_(origin)

    def _lineage(self, merge: Merge) -> dict[str, Any]:
        ancestry = [trace(model.folder) for model in self.models]
        parents = [_told(model) | {"weight": w} for model, w in zip(ancestry, merge.weights, strict=True)]
        settings = {key: value for key, value in asdict(merge).items() if value is not None}
        role = ancestry[0].manifest.lineage.get("role") if ancestry[0].manifest else None
        base = {"base": _told(trace(self.base.folder))} if self.base and merge.method in TASK_METHODS else {}
        return {"stage": "soup", "type": "soup", "role": role or "policy", **settings, "parents": parents, **base}


def planned(
    models: int,
    *,
    method: Method | None,
    weights: Sequence[float] | None,
    has_base: bool,
    density: float | None,
    scale: float | None,
    seed: int | None,
) -> Merge:
    """A merge from what was asked for, with what was not; weights are made to add up to 1.

    Raises:
        ConfigError: what was asked for does not go together.
    """
    if models < 2:
        raise ConfigError(f"a soup needs at least two models, found {models}")
    method = method or ("weighted" if weights else "uniform")
    _refuse_weights(method, weights, models)
    shares = tuple(weight / sum(weights) for weight in weights) if weights else (1 / models,) * models
    if method not in TASK_METHODS:
        for name, value in (("density", density), ("scale", scale), ("seed", seed)):
            if value is not None:
                raise ConfigError(f"--{name} is for the methods {' and '.join(TASK_METHODS)}; {method} has none")
        return Merge(method=method, weights=shares)
    if not has_base:
        raise ConfigError(f"the method {method} merges what was learnt since a base: name the model with --base")
    density = DENSITY[method] if density is None else density
    if not 0 < density <= 1:
        raise ConfigError(f"--density is {density:g}, expected a share above 0 and at most 1")
    scale = 1.0 if scale is None else scale
    if not 0 < scale < math.inf:
        raise ConfigError(f"--scale is {scale:g}, expected a number above 0")
    if method == "ties" and seed is not None:
        raise ConfigError("--seed is for the method dare; ties leaves nothing to chance")
    return Merge(
        method=method, weights=shares, density=density, scale=scale, seed=(seed or 0) if method == "dare" else None
    )


def _refuse_weights(method: Method, weights: Sequence[float] | None, models: int) -> None:
    if method in ("uniform", "greedy") and weights:
        raise ConfigError(f"{method} gives every model the same weight: leave --weights out, or ask for another method")
    if method == "weighted" and not weights:
        raise ConfigError("the method weighted needs --weights, one for each model: --weights 0.7,0.3")
    if weights and len(weights) != models:
        raise ConfigError(f"--weights has {len(weights)} numbers, expected {models}, one for each model")
    for weight in weights or ():
        if not 0 < weight < math.inf:
            raise ConfigError(f"--weights has {weight:g}, expected numbers above 0")


def _told(model: Ancestor) -> dict[str, Any]:
    """How a manifest names a parent."""
    folder = model.folder or Path()
    return {"version": model.name, "folder": str(folder), "manifest": digest(folder)}


def _chance(seed: int | None, number: int, key: str) -> torch.Generator:
    """Chance of a model's tensor of its own: the result does not depend on the order of the files."""
    number = int.from_bytes(hashlib.sha256(f"{seed} {number} {key}".encode()).digest()[:7], "little")
    return torch.Generator().manual_seed(number)
