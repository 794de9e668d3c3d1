"""What vLLM is told about our policies: the entry point `vllm.general_plugins`, and how prompts are handed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL.Image import Image


def register() -> None:
    """Make vLLM know SAIL-VL2, in every process that it starts; doing it again changes nothing."""
    from vllm import ModelRegistry

    from model import registry

    registry.register()
    ModelRegistry.register_model("SailVl2ForConditionalGeneration", "model.vllm_model:SailVl2ForConditionalGeneration")


def to_vllm_prompt(token_ids: Sequence[int], images: Sequence[Image]) -> dict[str, Any]:
    """A prompt for vLLM's `generate`: the very ids that the learner sees, image placeholders expanded, and images.

    vLLM runs on exactly these ids: the model's multimodal processor (`model.vllm_model`) finds each image's run of
    placeholders and leaves it as it is.
    """
    prompt: dict[str, Any] = {"prompt_token_ids": [int(token) for token in token_ids]}
    if images:
        prompt["multi_modal_data"] = {"image": list(images)}
    return prompt
