"""SAIL-VL2's released layout: its configuration and processor files in our terms, and ours in its.

The layout is that of InternVL: `config.json` has `vision_config` and `llm_config`, the weights have the names that
our own policies have too. None of the Python files that lie in such a folder is ever run.

Source: the folder that SAIL-VL2-2B was released as (`config.json`, `configuration_sailvl.py`, `modeling_sailvl.py`,
`preprocessor_config.json`, `image_processing_sailvl.py`, `model.safetensors.index.json`). There is no released
mixture of experts; its names here are Qwen3-MoE's own below `language_model`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3MoeConfig

from halyard.errors import SnapshotError
from model.chat_format import DIRECT, RELEASED, SAIL_VL2, THINKING
from model.sail_vl2 import SailVl2Config, SailVl2ImageProcessor, SailVl2Processor, SailVl2VisionConfig
from model.sail_vl2.configuration import TEXT_CONFIGS
from model.sail_vl2.modeling import DECODERS
from model.sail_vl2.processing import IMAGE_TOKEN
from model.weight_files import WeightFiles

MODEL_TYPE = "sailvl"
EMBEDDING = "language_model.model.embed_tokens.weight"
OUTPUT = "language_model.lm_head.weight"
OURS = "halyard"
"""Key in the released layout's files for what it has no word for; the released code ignores it."""

_VISION = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_channels")
_VISION += ("image_size", "patch_size", "rms_norm_eps")
_FIXED = {
    ("ps_version",): "v2",
    ("vision_config", "qkv_bias"): False,
    ("vision_config", "use_bias"): False,
    ("llm_config", "rope_scaling"): None,
}
_IMAGES = ("max_tiles", "all_tiles", "second_grid", "max_patches")
_ALSO_KNOWN = {"head_dim", "num_experts", "bos_token_id", "eos_token_id", "pad_token_id"}
_NOT_SHAPE = {"model_type", "architectures", "rope_parameters", "dtype", "transformers_version"}
_REMOTE = {
    "AutoConfig": "configuration_sailvl.SAILVLConfig",
    "AutoModel": "modeling_sailvl.SAILVLModel",
    "AutoModelForCausalLM": "modeling_sailvl.SAILVLModel",
}
"""Where the released code would be found, for whoever puts it beside the weights."""


def is_released(folder: Path) -> bool:
    """Whether a folder holds a policy in the released layout; its weights are not looked at."""
    path = folder / "config.json"
    return path.is_file() and _json(path).get("model_type") == MODEL_TYPE


def read_config(folder: Path) -> SailVl2Config:
    """Our configuration of a policy in the released layout.

    The released small models say that their output layer is the embedding, and store both: then what is stored
    decides, so that nothing of it is lost.

    Raises:
        SnapshotError: a file is missing or says something that our architecture is not.
    """
    raw = _json(folder / "config.json")
    try:
        _refuse_others(folder / "config.json", raw)
        return _config(folder, raw)
    except (KeyError, TypeError, ValueError) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise SnapshotError(f"{folder / 'config.json'} is no configuration of a SAIL-VL2: {problem}") from error


def read_processor(folder: Path) -> SailVl2Processor:
    """Our processor of a policy in the released layout, with the chat template of the released code.

    Raises:
        SnapshotError: a file is missing, or is not what it should be.
    """
    config = read_config(folder)
    tokenizer = read_tokenizer(folder)
    words = tokenizer.get_vocab()
    tokenizer.chat_template = (SAIL_VL2 if {THINKING, DIRECT} <= words.keys() else RELEASED).template
    path = folder / "preprocessor_config.json"
    raw = _json(path) if path.is_file() else _json(folder / "config.json")
    ours = raw.get(OURS) or {"max_tiles": raw.get("max_dynamic_patch", 1), "second_grid": raw.get("use_msac", False)}
    ways: dict[str, Any] = {key: raw[key] for key in ("image_mean", "image_std") if key in raw}
    ways |= {key: ours[key] for key in _IMAGES if key in ours}
    ways |= {"patch_size": config.vision_config.patch_size, "downsample": config.downsample}
    side = config.vision_config.image_size
    images = SailVl2ImageProcessor(size={"height": side, "width": side}, **ways)
    return SailVl2Processor(images, tokenizer, image_tokens=config.image_tokens, chat_template=tokenizer.chat_template)


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder, from its tokenizer.json.

    Raises:
        SnapshotError: it is missing or cannot be read, or has no token for images.
    """
    if not (folder / "tokenizer.json").is_file():
        raise SnapshotError(f"{folder} has no tokenizer.json")
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    except Exception as error:  # tokenizers raises Exception itself
        raise SnapshotError(f"the tokenizer in {folder} cannot be read: {error}") from error
    if IMAGE_TOKEN not in tokenizer.get_vocab():
        raise SnapshotError(f"the tokenizer in {folder} has no token {IMAGE_TOKEN}, which images are put into")
    return tokenizer


def released_config(config: SailVl2Config) -> dict[str, Any]:
    """The `config.json` of the released layout for a policy of ours."""
    vision, text = config.vision_config, config.text_config.to_dict()
    rope = text["rope_parameters"]
    text = {key: value for key, value in text.items() if key not in _NOT_SHAPE}
    if "num_local_experts" in text:
        text["num_experts"] = text.pop("num_local_experts")
    dtype = str(config.dtype).removeprefix("torch.")
    return {
        "architectures": ["SAILVLModel"],
        "auto_map": _REMOTE,
        "model_type": MODEL_TYPE,
        "downsample_ratio": 1 / config.downsample,
        "dynamic_image_size": True,
        "force_image_size": vision.image_size,
        "llm_config": {
            **text,
            "architectures": [DECODERS[config.text_config.model_type].__name__],
            "model_type": config.text_config.model_type,
            "rope_theta": rope["rope_theta"],
            "rope_scaling": None,
            "tie_word_embeddings": config.tie_word_embeddings,
            "torch_dtype": dtype,
        },
        "ps_version": "v2",
        "select_layer": config.select_layer,
        "template": "univl-chat",
        "torch_dtype": dtype,
        "use_thumbnail": True,
        "vision_config": {
            **{key: getattr(vision, key) for key in _VISION},
            "architectures": ["SAILViTModel"],
            "model_type": "sailvit",
            "qkv_bias": False,
            "use_bias": False,
        },
        OURS: {
            "initializer_range": [config.initializer_range, vision.initializer_range],
            "native_resolution": vision.native_resolution,
            "max_patches": vision.max_patches,
        },
    }


def released_preprocessor(images: SailVl2ImageProcessor) -> dict[str, Any]:
    """The `preprocessor_config.json` of the released layout for an image processor of ours."""
    return {
        "auto_map": {
            "AutoImageProcessor": "image_processing_sailvl.SAILVLImageProcessor",
            "AutoProcessor": "processing_sailvl.SAILVLProcessor",
        },
        "image_mean": list(images.image_mean),
        "image_std": list(images.image_std),
        "image_size": images.side,
        "max_dynamic_patch": max(1, images.max_tiles),
        "patch_size": images.patch_size,
        "use_msac": images.second_grid,
        OURS: {key: getattr(images, key) for key in _IMAGES},
    }


def _config(folder: Path, raw: dict[str, Any]) -> SailVl2Config:
    vision, text, ours = raw["vision_config"], _text_config(raw["llm_config"]), raw.get(OURS, {})
    spread = ours.get("initializer_range", [text.initializer_range, SailVl2VisionConfig.initializer_range])
    tied = _is_tied(folder, says=bool(text.tie_word_embeddings))
    text.tie_word_embeddings = tied
    eos: Any = text.eos_token_id
    return SailVl2Config(
        vision_config=SailVl2VisionConfig(
            **{key: vision[key] for key in _VISION},
            initializer_range=spread[1],
            **{key: ours[key] for key in ("native_resolution", "max_patches") if key in ours},
        ),
        text_config=text,
        image_token_id=read_tokenizer(folder).convert_tokens_to_ids(IMAGE_TOKEN),
        downsample=round(1 / raw["downsample_ratio"]),
        select_layer=raw["select_layer"],
        initializer_range=spread[0],
        tie_word_embeddings=tied,
        eos_token_id=eos,
        pad_token_id=text.pad_token_id,
        architectures=["SailVl2ForConditionalGeneration"],
        dtype=raw.get("torch_dtype"),
    )


def _text_config(raw: dict[str, Any]) -> Qwen3Config | Qwen3MoeConfig:
    kind = raw.get("model_type", "qwen3")
    if kind not in TEXT_CONFIGS:
        raise ValueError(f"its language model is {kind}, expected one of {', '.join(TEXT_CONFIGS)}")
    known = (TEXT_CONFIGS[kind]().to_dict().keys() | _ALSO_KNOWN) - _NOT_SHAPE
    values = {key: value for key, value in raw.items() if key in known}
    values["rope_parameters"] = {"rope_type": "default", "rope_theta": float(raw["rope_theta"])}
    text: Any = TEXT_CONFIGS[kind](**values)
    return text


def _refuse_others(path: Path, raw: dict[str, Any]) -> None:
    """Nothing, when the configuration says nothing that our architecture does not do.

    Raises:
        SnapshotError: names the key.
    """
    for keys, expected in _FIXED.items():
        value: Any = raw
        for key in keys:
            value = value.get(key, expected) if key == keys[-1] else value[key]
        if value != expected:
            raise SnapshotError(f"{path}: {'.'.join(keys)} is {value}, but only {expected} is known here")
    if raw.get("force_image_size") not in (None, raw["vision_config"]["image_size"]):
        raise SnapshotError(
            f"{path}: force_image_size is {raw['force_image_size']}, but the positions are of vision_config.image_size "
            f"{raw['vision_config']['image_size']}"
        )


def _is_tied(folder: Path, *, says: bool) -> bool:
    """Whether the output layer is the embedding: as the configuration says, unless both are stored and differ."""
    if not says:
        return False
    weights = WeightFiles.of(folder)
    if OUTPUT not in weights.files or EMBEDDING not in weights.files:
        return True
    return torch.equal(weights.read(EMBEDDING), weights.read(OUTPUT))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SnapshotError(f"{path.parent} has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise SnapshotError(f"{path} holds no object in JSON")
    return content
