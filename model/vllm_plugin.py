"""What vLLM is told about our policies: the entry point `vllm.general_plugins`, and how prompts are handed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL.Image import Image

LEARNER_ONLY = ("internvl", "qwen2_5_vl", "qwen3_vl")
"""Model types that are trained but not run: vLLM's classes for them need torchvision, and another kind of prompt."""


def register() -> None:
    """Make vLLM know SAIL-VL2, in every process that it starts; doing it again changes nothing."""
    from vllm import ModelRegistry

    from model import registry

    registry.register()
    ModelRegistry.register_model("SailVl2ForConditionalGeneration", "model.vllm_model:SailVl2ForConditionalGeneration")
    reference = "SailVl2TransformersForCausalLM"
    ModelRegistry.register_model(reference, f"model.vllm_transformers:{reference}")


def by_transformers(config: Any) -> Any:
    """A policy's configuration, changed so that vLLM runs it by its Transformers backend; for `hf_overrides`.

    Raises:
        ValueError: it is a SAIL-VL2 whose decoder is a mixture of experts.
    """
    text = config.get_text_config()
    experts = bool(getattr(text, "num_experts", 0))
    if config.model_type == "sail_vl2":
        if experts:
            raise ValueError(
                "engine.model_path is transformers, but a SAIL-VL2 of experts runs on vLLM's own layers alone: "
                "expected native"
            )
        config.architectures = ["SailVl2TransformersForCausalLM"]
        return config
    nested = "MultiModal" if text is not config else ""
    config.architectures = [f"Transformers{nested}{'MoE' if experts else ''}ForCausalLM"]
    return config


def to_vllm_prompt(token_ids: Sequence[int], images: Sequence[Image]) -> dict[str, Any]:
    """A prompt for vLLM's `generate`: the very ids that the learner sees, image placeholders expanded, and images.

    vLLM runs on exactly these ids: the model's multimodal processor (`model.vllm_inputs`) says where each image's
    features go, and leaves the ids as they are.
    """
    prompt: dict[str, Any] = {"prompt_token_ids": [int(token) for token in token_ids]}
    if images:
        prompt["multi_modal_data"] = {"image": list(images)}
    return prompt
