"""What vLLM is told about our policies: the entry point `vllm.general_plugins`, and how prompts are handed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL.Image import Image


def register() -> None:
    """Make vLLM know our classes of policies, in every process that it starts; doing it again changes nothing."""
    from vllm import ModelRegistry

    from model import registry

    registry.register()
    ModelRegistry.register_model("SailVl2ForConditionalGeneration", "model.vllm_model:SailVl2ForConditionalGeneration")
    reference = "SailVl2TransformersForCausalLM"
    ModelRegistry.register_model(reference, f"model.vllm_transformers:{reference}")
    for name in ("SeeingForCausalLM", "SeeingMoEForCausalLM"):
        ModelRegistry.register_model(name, f"model.vllm_families:{name}")


def by_family(config: Any) -> Any:
    """A policy's configuration, changed so that vLLM runs it as its family is run; for `hf_overrides`."""
    from model.families import SEEING

    if config.model_type in SEEING:
        config.architectures = [f"Seeing{_experts(config)}ForCausalLM"]
    return config


def by_transformers(config: Any) -> Any:
    """A policy's configuration, changed so that vLLM runs it by its Transformers backend; for `hf_overrides`.

    Raises:
        ValueError: it is a SAIL-VL2 whose decoder is a mixture of experts.
    """
    from model.families import SEEING

    if config.model_type in SEEING:  # which have no other way
        return by_family(config)
    experts = _experts(config)
    if config.model_type == "sail_vl2":
        if experts:
            raise ValueError(
                "engine.model_path is transformers, but a SAIL-VL2 of experts runs on vLLM's own layers alone: "
                "expected native"
            )
        config.architectures = ["SailVl2TransformersForCausalLM"]
        return config
    config.architectures = [f"Transformers{experts}ForCausalLM"]
    return config


def _experts(config: Any) -> str:
    return "MoE" if getattr(config.get_text_config(), "num_experts", 0) else ""


def to_vllm_prompt(token_ids: Sequence[int], images: Sequence[Image]) -> dict[str, Any]:
    """A prompt for vLLM's `generate`: the very ids that the learner sees, image placeholders expanded, and images.

    vLLM runs on exactly these ids: the model's multimodal processor (`model.vllm_inputs`) says where each image's
    features go, and leaves the ids as they are.
    """
    prompt: dict[str, Any] = {"prompt_token_ids": [int(token) for token in token_ids]}
    if images:
        prompt["multi_modal_data"] = {"image": list(images)}
    return prompt
