"""Policies from SAIL-VL2's released layout into our folders and back, without losing a bit of a weight.

The weights go through one after the other. All of them have their place on the other side; one that is missing, too
much or of another shape is named, and nothing is written.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.core_model_loading import revert_weight_conversion

from halyard.errors import SnapshotError
from model import registry, released, sizes
from model.load import architecture
from model.quiet import quiet
from model.released import EMBEDDING, OUTPUT
from model.sail_vl2 import SailVl2Config, SailVl2ForConditionalGeneration, SailVl2Processor
from model.weight_files import SHARD_BYTES, Layout, WeightFiles, refuse_misfits, write_sharded

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_TOKENIZER_FILES += ("vocab.json", "merges.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What was converted: the layout that came out, the published size if it is one, weights and their bytes."""

    layout: str
    size: str | None
    tensors: int
    parameters: int
    bytes: int


def convert(source: Path, target: Path, *, shard_bytes: int = SHARD_BYTES) -> Conversion:
    """Write the policy in `source` into the empty folder `target`, in the layout that it does not have yet.

    Raises:
        SnapshotError: the source is no SAIL-VL2, is not complete, or has weights that do not fit its configuration.
    """
    registry.register()
    kind = architecture(source)
    ways = {released.MODEL_TYPE: _to_ours, SailVl2Config.model_type: _to_released}
    if kind not in ways:
        raise SnapshotError(f"{source} holds a {kind}, which has one layout only; expected one of {', '.join(ways)}")
    with quiet():
        return ways[kind](source, target, shard_bytes)


def expected_weights(config: SailVl2Config) -> dict[str, torch.Size]:
    """Shape of every weight that a folder of such a policy has, by name; tied ones once, experts one by one."""
    with torch.device("meta"):
        policy = SailVl2ForConditionalGeneration(config)
    parameters = ((name, p.detach()) for name, p in policy.named_parameters())
    stored = (revert_weight_conversion(policy, {name: p}) for name, p in parameters)
    return {name: tensor.shape for part in stored for name, tensor in part.items()}


def _to_ours(source: Path, target: Path, shard_bytes: int) -> Conversion:
    config, processor = released.read_config(source), released.read_processor(source)
    weights = WeightFiles.of(source)
    tied_copy = config.tie_word_embeddings and OUTPUT in weights.files
    kept = [entry for entry in weights.layout if not (tied_copy and entry[0] == OUTPUT)]
    refuse_misfits(source, kept, expected_weights(config))
    config.save_pretrained(target)
    GenerationConfig(eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id).save_pretrained(target)
    processor.save_pretrained(target)
    _copy_tokenizer(source, target)
    names = {entry[0] for entry in kept}
    write_sharded(target, kept, ((n, t) for n, t in weights.stream() if n in names), most=shard_bytes)
    return _told("Halyard's own", config, kept)


def _to_released(source: Path, target: Path, shard_bytes: int) -> Conversion:
    config = SailVl2Config.from_pretrained(source)
    processor = SailVl2Processor.from_pretrained(source)
    weights = WeightFiles.of(source)
    refuse_misfits(source, weights.layout, expected_weights(config))
    layout, copied = list(weights.layout), OUTPUT not in weights.files
    if copied:
        place = next(number for number, entry in enumerate(layout) if entry[0] == EMBEDDING)
        layout.insert(place + 1, (OUTPUT, *layout[place][1:]))
    _write_json(target / "config.json", released.released_config(config))
    _write_json(target / "preprocessor_config.json", released.released_preprocessor(processor.image_processor))
    _copy_tokenizer(source, target)
    stream = _with_output_layer(weights) if copied else weights.stream()
    write_sharded(target, layout, stream, most=shard_bytes)
    return _told("the released", config, layout)


def _with_output_layer(weights: WeightFiles) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights, and the embedding a second time as the output layer: the released code does not tie the two."""
    for name, tensor in weights.stream():
        yield name, tensor
        if name == EMBEDDING:
            yield OUTPUT, tensor


def _copy_tokenizer(source: Path, target: Path) -> None:
    """The tokenizer's files as they are, but for what would send transformers to code in the folder."""
    for name in _TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    path = target / "tokenizer_config.json"
    if path.is_file():
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.pop("auto_map", None) is not None:
            _write_json(path, config)


def _told(layout: str, config: SailVl2Config, weights: Layout) -> Conversion:
    return Conversion(
        layout=layout,
        size=sizes.name_of(config),
        tensors=len(weights),
        parameters=sum(shape.numel() for _, _, shape in weights),
        bytes=sum(shape.numel() * dtype.itemsize for _, dtype, shape in weights),
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True), encoding="utf-8")
