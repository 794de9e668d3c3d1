"""Weights in safetensors files, read and written tensor by tensor: never a second full copy of a model in memory."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from halyard.durable import replaced
from halyard.errors import SnapshotError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD_BYTES = 5 * 10**9
"""A file of sharded weights has no more, unless a single tensor does; the size that Hugging Face's folders use."""

Layout = list[tuple[str, torch.dtype, torch.Size]]

_NAMES = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.float64: "F64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """The weights of a folder: `layout` by name and in order, `files` says which file each is in."""

    folder: Path
    layout: Layout
    files: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path) -> WeightFiles:
        """What the headers of the folder's files say; no tensor is read.

        Raises:
            SnapshotError: there are no weights, a file cannot be read, or the index and the files do not agree.
        """
        promised = _index(folder)
        names = sorted(set(promised.values())) if promised is not None else [SINGLE]
        layout: Layout = []
        files: dict[str, str] = {}
        for name in names:
            with _opened(folder / name) as file:
                for key in file.keys():  # noqa: SIM118 - not a mapping
                    if key in files:
                        raise SnapshotError(f"{folder} has the weight {key} twice: in {files[key]} and in {name}")
                    part = file.get_slice(key)
                    layout.append((key, _dtype(part.get_dtype(), folder / name), torch.Size(part.get_shape())))
                    files[key] = name
        if promised is not None and promised != files:
            odd = sorted(set(promised.items()) ^ set(files.items()))[0][0]
            raise SnapshotError(f"{folder / INDEX} and the files beside it do not agree about the weight {odd}")
        return cls(folder, layout, files)

    def stream(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Each tensor in the layout's order, mapped from its file and valid until the next one is asked for."""
        for name, group in itertools.groupby(self.layout, key=lambda entry: self.files[entry[0]]):
            with _opened(self.folder / name) as file:
                for key, _, _ in group:
                    yield key, file.get_tensor(key)

    def read(self, key: str) -> torch.Tensor:
        """One tensor."""
        with _opened(self.folder / self.files[key]) as file:
            return file.get_tensor(key)


def refuse_misfits(folder: Path, found: Layout, expected: Mapping[str, torch.Size]) -> None:
    """Nothing, when the weights found are those expected, each of its shape.

    Raises:
        SnapshotError: names what is missing, what has another shape, or what is too much, in this order.
    """
    shapes = {name: shape for name, _, shape in found}
    missing = [name for name in expected if name not in shapes]
    misshapen = [
        f"{name} ({dimensions(shapes[name])} instead of {dimensions(shape)})"
        for name, shape in expected.items()
        if name in shapes and shapes[name] != shape
    ]
    extra = [name for name in shapes if name not in expected]
    for what, names in (("lack", missing), ("have another shape for", misshapen), ("also have", extra)):
        if names:
            raise SnapshotError(misfit(folder, what, names))


def misfit(folder: Path, what: str, names: Iterable[str]) -> str:
    """The sentence about weights that do not fit their configuration; the first three are named."""
    listed = sorted(names)
    shown = ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
    return f"the weights in {folder} do not fit its config.json: they {what} {shown}"


def write_sharded(
    folder: Path, layout: Layout, tensors: Iterable[tuple[str, torch.Tensor]], *, most: int = SHARD_BYTES
) -> None:
    """Write tensors, in the layout's order, as they come: one file, or several with an index where they are large."""
    shards = _shards(layout, most)
    if len(shards) == 1:
        write_safetensors(folder / SINGLE, layout, tensors, durable=False)
        return
    stream, places = iter(tensors), {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_safetensors(folder / name, shard, itertools.islice(stream, len(shard)), durable=False)
        places |= {key: name for key, _, _ in shard}
    index = {"metadata": {"total_size": sum(map(_bytes, layout))}, "weight_map": places}
    (folder / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")


def write_safetensors(path: Path, layout: Layout, tensors: Iterable[tuple[str, torch.Tensor]], *, durable: bool) -> str:
    """Write tensors, in the layout's order, as they come; returns the file's SHA-256 where it is `durable`.

    A durable file has reached the disk when this returns. The file appears under its name when it is whole.

    Raises:
        ValueError: a tensor is not the one that the layout has in its place.
    """
    sha = hashlib.sha256()
    with replaced(path, durable=durable) as unfinished, unfinished.open("wb") as file:
        for piece in _pieces(layout, tensors):
            file.write(piece)
            if durable:
                sha.update(piece)
    return sha.hexdigest()


def _pieces(layout: Layout, tensors: Iterable[tuple[str, torch.Tensor]]) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file: length of the header, header, tensors."""
    header, end = {}, 0
    for name, dtype, shape in layout:
        start, end = end, end + shape.numel() * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    header["__metadata__"] = {"format": "pt"}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for (name, dtype, shape), (given, tensor) in zip(layout, tensors, strict=True):
        if (given, tensor.dtype, tensor.shape) != (name, dtype, shape):
            raise ValueError(f"expected {name} {dtype} {tuple(shape)}, got {given} {tensor.dtype} {tensor.shape}")
        if tensor.numel():
            yield tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data


def _shards(layout: Layout, most: int) -> list[Layout]:
    """The layout cut into neighbours that fit into a file each."""
    shards: list[Layout] = [[]]
    held = 0
    for entry in layout:
        if shards[-1] and held + _bytes(entry) > most:
            shards.append([])
            held = 0
        shards[-1].append(entry)
        held += _bytes(entry)
    return shards


def _bytes(entry: tuple[str, torch.dtype, torch.Size]) -> int:
    return entry[2].numel() * entry[1].itemsize


def _index(folder: Path) -> dict[str, str] | None:
    """File by weight, where the weights are sharded."""
    path = folder / INDEX
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["weight_map"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"{path} is no index of weights: expected JSON with a weight_map") from error


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        reason = "is missing" if not path.is_file() else f"cannot be read: {error}"
        raise SnapshotError(f"the weights in {path.parent} are not complete: {path.name} {reason}") from error


def _dtype(name: str, path: Path) -> torch.dtype:
    if name not in _DTYPES:
        raise SnapshotError(f"{path} has weights of type {name}, expected one of {', '.join(_DTYPES)}")
    return _DTYPES[name]


def dimensions(shape: Sequence[int]) -> str:
    """A shape as people write it: 640 x 64."""
    return " x ".join(map(str, shape)) or "a number"
