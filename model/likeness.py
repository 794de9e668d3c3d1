"""How alike models are: what must be the same before they can be merged, and how far apart their weights lie."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from halyard.errors import SnapshotError
from model.load import architecture
from model.weight_files import WeightFiles

_UNTOLD = {"transformers_version", "_name_or_path", "_commit_hash", "dtype", "torch_dtype", "auto_map"}
_UNTOLD |= {"initializer_range", "use_cache"}
"""Keys of a configuration that say who wrote it, how it is stored and how it began, not what the model computes."""
_READING = ("tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json")
_READING += ("chat_template.jinja", "processor_config.json", "preprocessor_config.json")
"""Files that decide which ids and pixels a model sees; what is in a tokenizer_config.json is in these, too."""
_AT_ONCE = 2**18
"""Elements that are compared in float64 at a time: few enough to stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How two models lie to each other, by their positions in the list that was measured.

    `cosine` is that of the angle between all their weights, `distance` the L2 norm of the difference as a share of
    the first's. With a base, `task_cosine` is that of the task vectors and `task_ratio` the longer one's length in
    the shorter one's; None without a base, or where a model is the base itself.
    """

    first: int
    second: int
    cosine: float
    distance: float
    task_cosine: float | None = None
    task_ratio: float | None = None


def refuse_unlike(folders: Sequence[Path]) -> list[WeightFiles]:
    """The weights of models that can be merged: one architecture, one way to read, the same names and shapes.

    Raises:
        SnapshotError: they cannot; the message has the folders and what differs.
    """
    first, *others = folders
    weights = [WeightFiles.of(first)]
    kind = architecture(first)
    for other in others:
        if (found := architecture(other)) != kind:
            hint = "; `halyard snapshot convert` changes layouts" if "sail" in kind and "sail" in found else ""
            raise SnapshotError(f"{first} holds a {kind} and {other} a {found}: a soup has one architecture{hint}")
        _same_file("config.json", first, other)
        for name in _READING:
            _same_file(name, first, other)
        weights.append(WeightFiles.of(other))
        _same_layout(weights[0], weights[-1])
    return weights


def measure(models: Sequence[WeightFiles], base: WeightFiles | None) -> list[Likeness]:
    """Each pair of models; their files are read once, a tensor of each at a time.

    Raises:
        SnapshotError: a weight is not finite, or whole numbers (counts, say) are not the same in all.
    """
    sums = _Sums(len(models))
    for key, dtype, _ in models[0].layout:
        if dtype.is_floating_point:
            _add(sums, key, models, base)
        else:
            _refuse_unequal(key, models)
    return sums.pairs(has_base=base is not None)


class _Sums:
    """Sums of products over all weights so far, of every pair of models."""

    def __init__(self, models: int) -> None:
        """Begin at zero."""
        self.products = torch.zeros(models, models, dtype=torch.float64)
        self.differences = torch.zeros(models, models, dtype=torch.float64)
        self.tasks = torch.zeros(models, models, dtype=torch.float64)

    def add(self, parts: list[Tensor], origin: Tensor | None) -> None:
        """Nothing; the parts `[elements]` of all models are in the sums."""
        vectors = [part - origin for part in parts] if origin is not None else []
        for one, other in itertools.combinations_with_replacement(range(len(parts)), 2):
            self.products[one, other] += parts[one] @ parts[other]
            difference = parts[one] - parts[other]  # not from the products, whose difference would be all rounding
            self.differences[one, other] += difference @ difference
            if vectors:
                self.tasks[one, other] += vectors[one] @ vectors[other]

    def pairs(self, *, has_base: bool) -> list[Likeness]:
        """What the sums say of each pair."""
        lengths = self.products.diagonal().sqrt()
        found = []
        for one, other in itertools.combinations(range(len(self.products)), 2):
            task = self.tasks[one, one].sqrt().item(), self.tasks[other, other].sqrt().item()
            moved = has_base and min(task) > 0
            found.append(
                Likeness(
                    first=one,
                    second=other,
                    cosine=_cosine(self.products[one, other], lengths[one] * lengths[other]),
                    distance=float(self.differences[one, other].sqrt() / lengths[one].clamp_min(1e-300)),
                    task_cosine=_cosine(self.tasks[one, other], task[0] * task[1]) if moved else None,
                    task_ratio=max(task) / min(task) if moved else None,
                )
            )
        return found


def degrees(cosine: float) -> float:
    """The angle."""
    return math.degrees(math.acos(cosine))


def first_difference(one: Any, other: Any, where: str = "") -> str | None:
    """Where two values of JSON first differ and what is there, or None where they do not."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted((one.keys() | other.keys()) - _UNTOLD)
        places = (first_difference(one.get(key), other.get(key), f"{where}.{key}" if where else key) for key in keys)
        return next((place for place in places if place), None)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        places = (first_difference(a, b, f"{where}[{number}]") for number, (a, b) in pairs)
        return next((place for place in places if place), None)
    return (
        None if one == other else f"{where or 'the text'} is {_short(one)} in the one and {_short(other)} in the other"
    )


def _same_file(name: str, first: Path, other: Path) -> None:
    one, two = _content(first / name), _content(other / name)
    if (one is None) != (two is None):
        has, lacks = (first, other) if two is None else (other, first)
        raise SnapshotError(f"{first} and {other} cannot be merged: {has} has a {name}, {lacks} has none")
    difference = first_difference(one, two)
    if difference:
        raise SnapshotError(f"{first} and {other} cannot be merged: in their {name}, {difference}")


def _content(path: Path) -> Any:
    """The file's JSON, or its text; None where there is none."""
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else text.splitlines()
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path} cannot be read: {error}") from error


def _same_layout(one: WeightFiles, other: WeightFiles) -> None:
    shapes, found = ({name: shape for name, _, shape in weights.layout} for weights in (one, other))
    for has, lacks in ((one, other), (other, one)):
        odd = sorted(has.files.keys() - lacks.files.keys())
        if odd:
            count = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
            raise SnapshotError(f"{has.folder} has the weight {odd[0]}{count}, which {lacks.folder} has not")
    kinds = {name: dtype.is_floating_point for name, dtype, _ in one.layout}
    for name, dtype, shape in other.layout:
        if shape != shapes[name] or dtype.is_floating_point != kinds[name]:
            raise SnapshotError(
                f"the weight {name} is {tuple(shapes[name])} in {one.folder} and {dtype} {tuple(found[name])} in "
                f"{other.folder}: a soup is made of models of one shape"
            )


def _add(sums: _Sums, key: str, models: Sequence[WeightFiles], base: WeightFiles | None) -> None:
    """Nothing; a weight of all models is in the sums, and no longer in memory."""
    tensors = [model.read(key).flatten() for model in models]
    origin = base.read(key).flatten() if base else None
    for start in range(0, len(tensors[0]), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        parts = [tensor[part].double() for tensor in tensors]
        for model, tensor in zip(models, parts, strict=True):
            if not bool(tensor.isfinite().all()):
                raise SnapshotError(f"the weight {key} of {model.folder} is not finite: such a model cannot be merged")
        sums.add(parts, None if origin is None else origin[part].double())


def _refuse_unequal(key: str, models: Sequence[WeightFiles]) -> None:
    first = models[0].read(key)
    for model in models[1:]:
        if not torch.equal(model.read(key), first):
            raise SnapshotError(f"{key} has whole numbers that differ in {models[0].folder} and {model.folder}")


def _cosine(product: Tensor, lengths: Tensor | float) -> float:
    length = float(lengths)
    return max(-1.0, min(1.0, float(product) / length)) if length > 0 else 0.0


def _short(value: Any) -> str:
    if value is None:
        return "not there"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
