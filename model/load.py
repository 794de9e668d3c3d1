"""Policies and their renderers from model folders, with one sentence for whatever is wrong with a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    Qwen3ForCausalLM,
    Qwen3MoeForCausalLM,
)

from halyard.errors import SnapshotError
from model import registry, released
from model.attention import PACKED, pack_sequences
from model.chat_format import FORMATS, SAIL_VL2
from model.linear import use_onednn
from model.norm import use_lean_norms
from model.quiet import quiet
from model.render import ChatMessage, Renderer
from model.sail_vl2 import SailVl2ForConditionalGeneration, SailVl2ImageProcessor, SailVl2Processor
from model.weight_files import misfit

ARCHITECTURES: dict[str, type[PreTrainedModel]] = {
    "sail_vl2": SailVl2ForConditionalGeneration,
    released.MODEL_TYPE: SailVl2ForConditionalGeneration,
    "qwen3": Qwen3ForCausalLM,
    "qwen3_moe": Qwen3MoeForCausalLM,
}


def architecture(path: Path) -> str:
    """The `model_type` of a model folder.

    Raises:
        SnapshotError: there is no folder, no readable config.json, or an architecture that Halyard does not know.
    """
    if not path.is_dir():
        raise SnapshotError(f"there is no model folder {path}")
    config = path / "config.json"
    if not config.is_file():
        raise SnapshotError(f"{path} is no model folder: it has no config.json")
    try:
        kind = json.loads(config.read_text(encoding="utf-8"))["model_type"]
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"{config} is no model configuration: expected JSON with a model_type") from error
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise SnapshotError(f"{config}: model_type is {kind}, which Halyard does not know; expected one of {known}")
    return kind


def load_policy(path: Path, *, dtype: torch.dtype, attention: str = PACKED) -> PreTrainedModel:
    """The policy of a model folder, in training mode, on the CPU.

    With attention "packed" `model(input_ids [1, tokens], position_ids [1, tokens], pixel_values or None)` takes
    packs of sequences; "sdpa" and the like are for generation with transformers.

    Raises:
        SnapshotError: the folder is missing or broken, its architecture is unknown, or its weights do not fit it.
    """
    registry.register()
    kind = architecture(path)
    try:
        with quiet():
            loaded: Any = ARCHITECTURES[kind].from_pretrained(
                path,
                config=released.read_config(path) if kind == released.MODEL_TYPE else None,
                dtype=dtype,
                attn_implementation=attention,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are refused below, by name
            )
    except SnapshotError:
        raise
    except Exception as error:  # transformers, safetensors and torch each have their own
        raise SnapshotError(f"the weights in {path} cannot be read: {_one_line(error)}") from error
    model, report = loaded
    _check_weights(path, report)
    if attention == PACKED:
        pack_sequences(model.get_decoder())
    if dtype == torch.float32:  # what they speed up; elsewhere the layers stay transformers' own
        use_onednn(model)
        use_lean_norms(model)
    return model.train()


def load_processor(path: Path) -> Renderer:
    """The renderer of a model folder, whose ids have been compared with the folder's own chat template.

    Raises:
        SnapshotError: the folder is missing, has no tokenizer, or has a chat template that Halyard cannot write.
    """
    registry.register()
    kind = architecture(path)
    try:
        if kind in ("sail_vl2", released.MODEL_TYPE):
            ours = kind == "sail_vl2"
            processor = SailVl2Processor.from_pretrained(path) if ours else released.read_processor(path)
            return _checked(path, processor.tokenizer, processor.image_processor)
        return _checked(path, AutoTokenizer.from_pretrained(path), None)
    except (OSError, ValueError, TypeError) as error:
        raise SnapshotError(f"the tokenizer in {path} cannot be read: {_one_line(error)}") from error


def _checked(path: Path, tokenizer: Any, visual: SailVl2ImageProcessor | None) -> Renderer:
    """A renderer in the first format that gives the ids of the tokenizer's own template."""
    if tokenizer.chat_template is None:
        raise SnapshotError(f"{path} has a tokenizer without a chat template; expected ChatML, as in Qwen3's folders")
    for chat_format in FORMATS:
        try:
            renderer = Renderer(tokenizer, chat_format, visual)
            if all(_agrees(renderer, thinking=thinking) for thinking in (True, False)):
                return renderer
        except TypeError:  # a control token of this format is not in the vocabulary
            continue
    names = " or ".join(chat_format.name for chat_format in FORMATS)
    raise SnapshotError(
        f"the chat template in {path} is not one that Halyard can write: expected ids as {names} lay them out, "
        f"{SAIL_VL2.name}'s being `model.chat_format.SAIL_VL2.template`"
    )


def _agrees(renderer: Renderer, *, thinking: bool) -> bool:
    chat = [
        ChatMessage("system", "Be short."),
        ChatMessage("user", "2 + 3?"),
        ChatMessage("assistant", "5", reasoning="two and three."),
        ChatMessage("user", "And 2 more?"),
    ]
    answered = [*chat, ChatMessage("assistant", "\\boxed{7}", reasoning="5 + 2 = 7.")]
    prompt = renderer.prompt(chat, thinking=thinking).token_ids.tolist()
    conversation = renderer.conversation(answered, thinking=thinking).token_ids.tolist()
    return prompt == template_ids(renderer.tokenizer, chat, thinking=thinking, prompt=True) and (
        conversation == template_ids(renderer.tokenizer, answered, thinking=thinking, prompt=False)
    )


def template_ids(tokenizer: Any, chat: list[ChatMessage], *, thinking: bool, prompt: bool) -> list[int]:
    """Ids of a chat of texts as the tokenizer's own template has them."""
    messages = [{"role": m.role, "content": m.text} for m in chat]
    for message, turn in zip(messages, chat, strict=True):
        if thinking and turn.reasoning is not None:
            message["reasoning_content"] = turn.reasoning
    return tokenizer.apply_chat_template(
        messages, add_generation_prompt=prompt, enable_thinking=thinking, return_dict=False
    )


_PROBLEMS = {"missing_keys": "lack", "mismatched_keys": "have another shape for", "unexpected_keys": "also have"}


def _check_weights(path: Path, report: dict[str, Any]) -> None:
    for problem, what in _PROBLEMS.items():
        names = [str(entry[0] if isinstance(entry, tuple) else entry) for entry in report[problem]]
        if names:
            raise SnapshotError(misfit(path, what, names))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
