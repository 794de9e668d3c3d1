"""A policy's weights, one tensor after the other, as a Hugging Face checkpoint names them.

Under ZeRO-3 each tensor is gathered when its turn comes and let go after it: there is never a second
full copy. All ranks walk through the weights together; the first one writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers.core_model_loading import revert_weight_conversion

from halyard.cluster import zero
from halyard.cluster.checkpoint_files import sync
from halyard.cluster.digests import digest

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from halyard.cluster.training_module import TrainingModule

_WEIGHT_FILES = (".safetensors", ".bin", ".pt", ".pth")
_NOT_COPIED = ("manifest.json", "model.safetensors", "pytorch_model", ".")

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


def stream(module: TrainingModule) -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor of the policy with its name in a Hugging Face checkpoint; tied ones once.

    A tensor is valid until the next one is asked for. All ranks must walk through to the end.
    """
    for name, parameter in module.named_weights():
        with zero.whole(parameter) as tensor:
            yield from revert_weight_conversion(module.policy, {name: tensor}).items()
    yield from module.named_persistent_buffers()


def layout(module: TrainingModule) -> Layout:
    """Name, type and shape of what `stream` yields, in its order; nothing is gathered."""
    found: Layout = []
    for name, parameter in module.named_weights():
        empty = torch.empty(zero.shape(parameter), dtype=parameter.dtype, device="meta")
        tensors = revert_weight_conversion(module.policy, {name: empty})
        found += [(key, tensor.dtype, tensor.shape) for key, tensor in tensors.items()]
    return found + [(name, buffer.dtype, buffer.shape) for name, buffer in module.named_persistent_buffers()]


def checksums(module: TrainingModule) -> Mapping[str, str]:
    """SHA-256 of each tensor of `stream`, by name."""
    return {name: digest(tensor) for name, tensor in stream(module)}


def write_weights(module: TrainingModule, path: Path, *, durable: bool = False) -> tuple[int, int]:
    """Write the policy to the safetensors file `path`, from the first rank; returns the tensors and their bytes."""
    tensors, plan = stream(module), layout(module)
    if zero.rank() == 0:
        write_safetensors(path, plan, tensors, durable=durable)
    else:
        for _ in tensors:
            continue
    return len(plan), sum(shape.numel() * dtype.itemsize for _, dtype, shape in plan)


def write_description(source: Path, folder: Path, policy: PreTrainedModel) -> None:
    """Write all of a model folder but its weights: configuration, tokenizer and processor files as in `source`."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.is_file() and not file.name.startswith(_NOT_COPIED) and file.suffix not in _WEIGHT_FILES:
            shutil.copyfile(file, folder / file.name)
    policy.config.save_pretrained(folder)
    for file in folder.iterdir():
        sync(file)


def write_safetensors(path: Path, layout: Layout, tensors: Iterable[tuple[str, torch.Tensor]], *, durable: bool) -> str:
    """Write tensors, in the layout's order, as they come; returns the file's SHA-256 where it is `durable`.

    A durable file has reached the disk when this returns. The file appears under its name when it is whole.

    Raises:
        ValueError: a tensor is not the one that the layout has in its place.
    """
    unfinished = path.with_name(f".{path.name}.tmp")
    sha = hashlib.sha256()
    try:
        with unfinished.open("wb") as file:
            for piece in _pieces(layout, tensors):
                file.write(piece)
                if durable:
                    sha.update(piece)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
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
