"""A policy's weights, one tensor after the other, as a Hugging Face checkpoint names them.

Under ZeRO-3 each tensor is gathered when its turn comes and let go after it: there is never a second
full copy. All ranks walk through the weights together; the first one writes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers.core_model_loading import revert_weight_conversion

from halyard.cluster import zero
from halyard.cluster.digests import digest
from halyard.durable import sync
from model.weight_files import Layout, write_safetensors

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from halyard.cluster.training_module import TrainingModule

_WEIGHT_FILES = (".safetensors", ".bin", ".pt", ".pth")
_NOT_COPIED = ("manifest.json", "model.safetensors", "pytorch_model", ".")


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
