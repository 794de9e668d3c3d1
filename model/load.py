"""Policies and their renderers from model folders, with one sentence for whatever is wrong with a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from PIL import Image
from transformers import PreTrainedModel

from halyard.errors import SnapshotError
from model import registry
from model.adapter import is_adapter
from model.attention import PACKED, pack_sequences
from model.chat_format import SAIL_VL2, ChatFormat
from model.families import FAMILIES
from model.families.family import Family
from model.linear import use_onednn
from model.norm import use_lean_norms
from model.quiet import quiet
from model.render import ChatMessage, Renderer
from model.sight import SAIL_VL2_MARKS, Sight
from model.weight_files import misfit


def architecture(path: Path) -> str:
    """The `model_type` of a model folder.

    Raises:
        SnapshotError: there is no folder, no readable config.json, or an architecture that Halyard does not know.
    """
    if not path.is_dir():
        raise SnapshotError(f"there is no model folder {path}")
    config = path / "config.json"
    if is_adapter(path):
        raise SnapshotError(f"{path} is a LoRA adapter, no whole policy: only `halyard serve` takes it, over its base")
    if not config.is_file():
        raise SnapshotError(f"{path} is no model folder: it has no config.json")
    try:
        kind = json.loads(config.read_text(encoding="utf-8"))["model_type"]
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"{config} is no model configuration: expected JSON with a model_type") from error
    if kind not in FAMILIES:
        known = ", ".join(FAMILIES)
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
    family = FAMILIES[architecture(path)]
    try:
        with quiet():
            loaded: Any = family.architecture.from_pretrained(
                path,
                config=family.config(path),
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
    family = FAMILIES[architecture(path)]
    try:
        tokenizer, sight = family.reader(path)
    except (OSError, ValueError, TypeError) as error:
        raise SnapshotError(f"the tokenizer in {path} cannot be read: {_one_line(error)}") from error
    return _checked(path, family, tokenizer, sight)


def _checked(path: Path, family: Family, tokenizer: Any, sight: Sight | None) -> Renderer:
    """A renderer in the first of the family's formats that gives the ids of the tokenizer's own template."""
    if tokenizer.chat_template is None:
        raise SnapshotError(f"{path} has a tokenizer without a chat template; expected ChatML, as in Qwen3's folders")
    for chat_format in family.formats:
        try:
            renderer = Renderer(tokenizer, chat_format, sight, family.marks or SAIL_VL2_MARKS)
            if all(_agrees(renderer, thinking=thinking) for thinking in _modes(chat_format)):
                return renderer
        except (TypeError, TemplateError):  # the vocabulary lacks a control token of it; the template takes no images
            continue
    names = " or ".join(chat_format.name for chat_format in family.formats)
    ours = f", {SAIL_VL2.name}'s being `model.chat_format.SAIL_VL2.template`" if SAIL_VL2 in family.formats else ""
    raise SnapshotError(
        f"the chat template in {path} is not one that Halyard can write: expected ids as {names} lay them out{ours}"
    )


def _modes(chat_format: ChatFormat) -> tuple[bool, ...]:
    """Thinking or not: what can be compared. A family's own template knows nothing of a request for reasoning."""
    return (False,) if chat_format.mode == "request" and chat_format.template is None else (True, False)


def _agrees(renderer: Renderer, *, thinking: bool) -> bool:
    """Whether chats of texts, with and without a system turn, and one of images have the template's ids."""
    chat = [
        ChatMessage("system", "Be short."),
        ChatMessage("user", "2 + 3?"),
        ChatMessage("assistant", "5", reasoning="two and three."),
        ChatMessage("user", "And 2 more?"),
    ]
    answer = ChatMessage("assistant", "\\boxed{7}", reasoning="5 + 2 = 7.")
    for asked in (chat, chat[1:]):
        prompt = renderer.prompt(asked, thinking=thinking).token_ids.tolist()
        answered = renderer.conversation([*asked, answer], thinking=thinking).token_ids.tolist()
        if prompt != template_ids(renderer.tokenizer, asked, thinking=thinking, prompt=True):
            return False
        if answered != template_ids(renderer.tokenizer, [*asked, answer], thinking=thinking, prompt=False):
            return False
    return renderer.image_token_id is None or _places_images(renderer, thinking=thinking)


def _places_images(renderer: Renderer, *, thinking: bool) -> bool:
    """Whether two images stand where the template has them; it may leave their marks to a processor."""
    white = Image.new("RGB", (64, 64), "white")
    chat = [ChatMessage("user", "Which is larger?", (white, white))]
    ours = renderer.prompt(chat, thinking=thinking).token_ids.tolist()
    theirs = template_ids(renderer.tokenizer, chat, thinking=thinking, prompt=True)
    each = renderer.visual_tokens([white.size] * 2)[0]
    return renderer.without_marks(ours, each) == renderer.without_marks(theirs)


def template_ids(tokenizer: Any, chat: list[ChatMessage], *, thinking: bool, prompt: bool) -> list[int]:
    """Ids of a chat as the tokenizer's own template has them, each image being one placeholder."""
    messages: list[dict[str, Any]] = [{"role": m.role, "content": _content(m)} for m in chat]
    for message, turn in zip(messages, chat, strict=True):
        if thinking and turn.reasoning is not None:
            message["reasoning_content"] = turn.reasoning
    return tokenizer.apply_chat_template(
        messages, add_generation_prompt=prompt, enable_thinking=thinking, return_dict=False
    )


def _content(message: ChatMessage) -> str | list[dict[str, str]]:
    if not message.images:
        return message.text
    return [{"type": "image"} for _ in message.images] + [{"type": "text", "text": message.text}]


_PROBLEMS = {"missing_keys": "lack", "mismatched_keys": "have another shape for", "unexpected_keys": "also have"}


def _check_weights(path: Path, report: dict[str, Any]) -> None:
    for problem, what in _PROBLEMS.items():
        names = [str(entry[0] if isinstance(entry, tuple) else entry) for entry in report[problem]]
        if names:
            raise SnapshotError(misfit(path, what, names))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
