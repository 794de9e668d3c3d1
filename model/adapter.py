"""LoRA adapters at rest: the folders that PEFT writes, read without PEFT, and compared with the policy they go over.

    W' = W + scale B A     A [rank, inputs], B [outputs, rank], scale = alpha / rank, of rsLoRA alpha / sqrt(rank)

`adapter_config.json` says the rank and alpha, `adapter_model.safetensors` has A and B of every layer that it changes.
What of PEFT goes beyond this product is refused by name: an engine that left it out would answer with another policy.

Source: Hu et al. 2021 (LoRA, arXiv:2106.09685), equation 3; Kalajdzievski 2023 (rsLoRA, arXiv:2312.03732).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from halyard.errors import SnapshotError
from model.weight_files import WeightFiles, dimensions

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
BASES = ("sail_vl2", "qwen3")
"""Model types that adapters are served over, where their decoder is dense."""
_DECODER = "qwen3"

_REQUIRED = {"peft_type", "r", "lora_alpha", "target_modules"}
_PLAIN: Mapping[str, tuple[Any, ...]] = {
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian", "orthogonal", "eva"),  # others change the base's own weights
}
"""What settings of PEFT may be, where something else than nothing is plain LoRA."""
_BEYOND = (
    "use_dora",
    "lora_bias",
    "modules_to_save",
    "trainable_token_indices",
    "target_parameters",
    "layer_replication",
    "alora_invocation_tokens",
    "use_qalora",
    "use_bdlora",
    "fan_in_fan_out",
)
"""Settings of PEFT that make more of an adapter than A and B, wherever they are set."""
_TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<half>[AB])\.weight")
_UNSERVED = re.compile(r"(^|\.)(embed_tokens|lm_head|gate|experts)(\.|$)")
"""Layers that engines run without the adapter, or not on every machine."""
Shapes = dict[str, dict[str, torch.Size]]
"""By module, the shapes of its A and B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """An adapter's folder: `base` is what PEFT calls the policy below it, `rank` the largest of its ranks."""

    folder: Path
    base: str | None
    rank: int
    shapes: Shapes


def is_adapter(folder: Path) -> bool:
    """Whether a folder is an adapter's, and no whole policy's."""
    return (folder / CONFIG).is_file()


def named_base(folder: Path) -> str | None:
    """What the adapter in a folder calls the policy that it goes over; None where it does not say.

    Raises:
        SnapshotError: its configuration cannot be read.
    """
    return _named(_config(folder))


def read_adapter(folder: Path) -> Adapter:
    """What the adapter in a folder is; no tensor is read.

    Raises:
        SnapshotError: it is no LoRA adapter, or more than one, or its files do not agree.
    """
    config = _config(folder)
    _refuse_more(folder, config)
    shapes = _shapes(folder)
    rank = _rank(folder, config, shapes)
    return Adapter(folder=folder, base=_named(config), rank=rank, shapes=shapes)


def refuse_misfit(adapter: Adapter, base: Path) -> None:
    """Nothing, when every layer of an adapter is one of the base's, of its shape, and one that engines adapt.

    Raises:
        SnapshotError: it is not; names the first such layer. Or adapters are not served over such a base.
    """
    _refuse_base(base)
    layers = {name: shape for name, _, shape in WeightFiles.of(base).layout}
    for module, halves in adapter.shapes.items():
        weight = layers.get(f"{module}.weight")
        if weight is None:
            raise SnapshotError(f"{adapter.folder} changes {module}, which its base {base} does not have")
        if _UNSERVED.search(module) or len(weight) != 2:
            raise SnapshotError(
                f"{adapter.folder} changes {module}, which engines do not adapt: expected linear layers of the "
                "decoder, the vision tower and the connector"
            )
        found = (halves["B"][0], halves["A"][1])
        if found != tuple(weight):
            raise SnapshotError(
                f"{adapter.folder} has {dimensions(found)} for {module}, which is {dimensions(weight)} in its base "
                f"{base}: it was trained over another policy"
            )


def _refuse_base(base: Path) -> None:
    try:
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        kind, decoder = config["model_type"], config.get("text_config", config)["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"{base} is no policy for an adapter: its config.json cannot be read") from error
    if kind not in BASES or decoder != _DECODER:
        what = kind if kind == decoder else f"{kind} with a decoder of type {decoder}"
        raise SnapshotError(f"{base} is a {what}, over which no adapter is served: expected sail_vl2 or qwen3, dense")


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SnapshotError(f"{folder} is no adapter: it has no {CONFIG}, which PEFT writes") from None
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{folder} is no adapter: its {CONFIG} cannot be read ({error})") from None
    if not isinstance(config, dict) or not config.keys() >= _REQUIRED:
        raise SnapshotError(f"{folder} is no adapter: its {CONFIG} lacks one of {', '.join(sorted(_REQUIRED))}")
    return config


def _named(config: Mapping[str, Any]) -> str | None:
    named = config.get("base_model_name_or_path")
    return named if isinstance(named, str) and named else None


def _refuse_more(folder: Path, config: Mapping[str, Any]) -> None:
    """Nothing, when an adapter is the product of A and B alone."""
    kind = config.get("peft_type")
    if kind != "LORA":
        raise SnapshotError(f"{folder / CONFIG}: peft_type is {kind}, expected LORA: no other kind is served")
    odd = [key for key in _BEYOND if config.get(key)]
    odd += [key for key, plain in _PLAIN.items() if config.get(key, plain[0]) not in plain]
    if odd:
        raise SnapshotError(
            f"{folder / CONFIG}: {odd[0]} is {json.dumps(config[odd[0]])[:60]}, which is more than LoRA's product of A "
            "and B: only plain LoRA and rsLoRA are served; merge the adapter into its base instead"
        )


def _shapes(folder: Path) -> Shapes:
    file = folder / WEIGHTS
    try:
        with safe_open(file, framework="pt") as opened:
            found = {name: torch.Size(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise SnapshotError(f"{folder} is not complete: {WEIGHTS} cannot be read ({error})") from None
    shapes: Shapes = {}
    for name, shape in found.items():
        match = _TENSOR.fullmatch(name)
        if match is None or len(shape) != 2:
            raise SnapshotError(f"{file}: {name} is neither A nor B of a linear layer, which is all that is served")
        shapes.setdefault(match["module"], {})[match["half"]] = shape
    for module, halves in shapes.items():
        if len(halves) < 2 or halves["A"][0] != halves["B"][1]:
            raise SnapshotError(f"{file}: {module} has no A [rank, inputs] and B [outputs, rank] of one rank")
    if not shapes:
        raise SnapshotError(f"{file} has no weights: the adapter changes nothing")
    return shapes


def _rank(folder: Path, config: Mapping[str, Any], shapes: Shapes) -> int:
    """The largest rank; alpha is a number, and each layer has the rank that the configuration says."""
    said, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(said, int) or said < 1 or not isinstance(alpha, int | float):
        raise SnapshotError(f"{folder / CONFIG}: r is {said} and lora_alpha {alpha}, expected two numbers above 0")
    ranks = {module: halves["A"][0] for module, halves in shapes.items()}
    for module, rank in ranks.items():
        if rank != said and not config.get("rank_pattern"):
            raise SnapshotError(f"{folder}: {module} has the rank {rank}, but {CONFIG} says r: {said}")
    return max(ranks.values())
