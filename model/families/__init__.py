"""The architectures that Halyard trains, by the `model_type` of a folder's config.json."""

from __future__ import annotations

from typing import Any

from transformers import Qwen3ForCausalLM, Qwen3MoeForCausalLM

from model import released
from model.families.family import Family
from model.families.internvl import InternVlFamily
from model.families.qwen_vl import QWEN2_5_VL_FAMILY, QWEN3_VL_FAMILY
from model.families.sail_vl2 import SailVl2Family
from model.families.seeing import SeeingFamily
from model.families.texts import TextFamily

SEEING: dict[str, SeeingFamily] = {
    "internvl": InternVlFamily(),
    "qwen2_5_vl": QWEN2_5_VL_FAMILY,
    "qwen3_vl": QWEN3_VL_FAMILY,
}
"""The vision-language families that are transformers' own."""

FAMILIES: dict[str, Family] = {
    "sail_vl2": SailVl2Family(),
    released.MODEL_TYPE: SailVl2Family(released=True),
    "qwen3": TextFamily(Qwen3ForCausalLM),
    "qwen3_moe": TextFamily(Qwen3MoeForCausalLM),
    **SEEING,
}


def family_of(policy: Any) -> Family:
    """The family of a policy that was loaded."""
    return FAMILIES[policy.config.model_type]
