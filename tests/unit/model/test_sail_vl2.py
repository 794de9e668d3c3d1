"""The architecture against independent implementations, and what it does with images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import Aimv2VisionConfig, Aimv2VisionModel

from model.sail_vl2 import SailVl2VisionConfig, SailVl2VisionModel
from model.sail_vl2.modeling import SailVl2ForConditionalGeneration
from model.sail_vl2.vision import pixel_shuffle


def shuffled_as_internvl(x: Tensor) -> Tensor:
    """InternVL's steps, one by one: halve one axis into the channels, swap, halve the other, swap back."""
    n, w, h, c = x.shape
    x = x.reshape(n, w, h // 2, c * 2).permute(0, 2, 1, 3)
    x = x.reshape(n, h // 2, w // 2, c * 4)
    return x.permute(0, 2, 1, 3)


def test_pixel_shuffle_has_internvls_order() -> None:
    x = torch.randn(2, 6, 8, 5)
    assert torch.equal(pixel_shuffle(x), shuffled_as_internvl(x))


def test_pixel_shuffle_by_hand() -> None:
    x = torch.arange(16.0).view(1, 4, 4, 1)
    assert pixel_shuffle(x)[0, 0, 1].tolist() == [2, 3, 6, 7]
    assert pixel_shuffle(x)[0, 1, 0].tolist() == [8, 9, 12, 13]


def test_the_tower_is_an_aimv2() -> None:
    """The same weights in transformers' own AIMv2 give the same features."""
    torch.manual_seed(0)
    ours = SailVl2VisionModel(
        SailVl2VisionConfig(
            hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=56
        )
    ).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs = Aimv2VisionModel(
        Aimv2VisionConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=56,
            use_head=False,
        )
    ).eval()
    theirs.load_state_dict(as_aimv2(ours.state_dict(), theirs.state_dict()))
    pixels = torch.randn(3, 3, 56, 56)
    torch.testing.assert_close(ours(pixels), theirs(pixels).last_hidden_state, atol=1e-5, rtol=1e-5)


def as_aimv2(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our weights under transformers' names; what is fixed there (position numbers) is kept."""
    renamed = {
        "embeddings.patch_embed.weight": state["preprocessor.patchifier.proj.weight"],
        "embeddings.patch_embed.bias": state["preprocessor.patchifier.proj.bias"],
        "embeddings.rms_norm.weight": state["preprocessor.patchifier.norm.weight"],
        "embeddings.position_embedding.weight": state["preprocessor.pos_embed"][0],
        "rms_norm.weight": state["trunk.post_trunk_norm.weight"],
    }
    for layer in range(2):
        block, target = f"trunk.blocks.{layer}", f"encoder.layers.{layer}"
        for name, part in zip("qkv", state[f"{block}.attn.qkv.weight"].chunk(3), strict=True):
            renamed[f"{target}.attention.{name}_proj.weight"] = part
        renamed[f"{target}.attention.out_proj.weight"] = state[f"{block}.attn.proj.weight"]
        renamed[f"{target}.rms_norm1.weight"] = state[f"{block}.norm_1.weight"]
        renamed[f"{target}.rms_norm2.weight"] = state[f"{block}.norm_2.weight"]
        renamed[f"{target}.ffn.gate_proj.weight"] = state[f"{block}.mlp.fc1.weight"]
        renamed[f"{target}.ffn.up_proj.weight"] = state[f"{block}.mlp.fc3.weight"]
        renamed[f"{target}.ffn.down_proj.weight"] = state[f"{block}.mlp.fc2.weight"]
    fixed = {name: value for name, value in wanted.items() if name not in renamed and "position_ids" in name}
    return {**renamed, **fixed}


def inputs(policy: SailVl2ForConditionalGeneration, images: int) -> dict[str, Any]:
    config = policy.config
    ids = [9, *([config.image_token_id] * (config.image_tokens * images)), 11, 12]
    pixels = torch.randn(images, 3, config.vision_config.image_size, config.vision_config.image_size)
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.arange(len(ids))[None],
        "pixel_values": pixels if images else None,
    }


def test_names_are_those_of_the_released_checkpoints(nano: SailVl2ForConditionalGeneration) -> None:
    names = {name.replace(".0.", ".N.") for name in nano.state_dict() if ".1." not in name and ".2." not in name}
    assert {
        "vision_model.preprocessor.pos_embed",
        "vision_model.preprocessor.patchifier.proj.weight",
        "vision_model.preprocessor.patchifier.norm.weight",
        "vision_model.trunk.blocks.N.attn.qkv.weight",
        "vision_model.trunk.blocks.N.mlp.fc3.weight",
        "vision_model.trunk.post_trunk_norm.weight",
        "mlp1.3.bias",
        "language_model.model.layers.N.self_attn.q_norm.weight",
        "language_model.lm_head.weight",
    } <= names


def test_image_features_stand_at_their_placeholders_in_order(nano: SailVl2ForConditionalGeneration) -> None:
    given = inputs(nano, 2)
    embedded = nano.embed(given["input_ids"], given["pixel_values"])[0]
    features = nano.get_image_features(given["pixel_values"]).pooler_output
    assert features is not None
    tokens = nano.config.image_tokens
    torch.testing.assert_close(embedded[1 : 1 + 2 * tokens], features.flatten(0, 1))
    torch.testing.assert_close(embedded[[0, -1]], nano.get_input_embeddings()(torch.tensor([9, 12])))


@pytest.mark.parametrize(("placeholders", "images"), [(1, 2), (2, 1), (1, 0), (0, 1)])
def test_images_that_do_not_fit_the_placeholders_are_refused(
    nano: SailVl2ForConditionalGeneration, placeholders: int, images: int
) -> None:
    given = inputs(nano, placeholders) | {"pixel_values": inputs(nano, images)["pixel_values"]}
    with pytest.raises(ValueError, match=f"{placeholders * 16} image placeholders, but {images} images"):
        nano(**given)


def test_every_tensor_gets_a_gradient_from_an_image(nano: SailVl2ForConditionalGeneration) -> None:
    nano(**inputs(nano, 1)).logits.log_softmax(-1)[..., 5].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in nano.parameters())


def test_without_images_the_tower_runs_and_its_gradient_is_zero(nano: SailVl2ForConditionalGeneration) -> None:
    runs = []
    nano.vision_model.register_forward_hook(lambda *_: runs.append(1))
    given = inputs(nano, 0)
    nano(**given).logits.log_softmax(-1)[..., 5].sum().backward()
    assert runs == [1]
    seeing = [p for part in (nano.vision_model, nano.mlp1) for p in part.parameters()]
    assert all(p.grad is not None and not p.grad.any() for p in seeing)
    assert nano.get_input_embeddings().weight.grad.any()
    with torch.no_grad():
        text_only = nano(**given).logits
    torch.testing.assert_close(text_only, nano(**given).logits.detach(), atol=0, rtol=0)


def test_a_policy_never_writes_a_placeholder(nano: SailVl2ForConditionalGeneration) -> None:
    logits = nano(**inputs(nano, 1)).logits
    probabilities = logits.softmax(-1)
    assert (probabilities[..., nano.config.image_token_id] == 0).all()
    entropy = -(probabilities * logits.log_softmax(-1)).sum(-1)
    assert entropy.isfinite().all()
    entropy.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in nano.parameters())


def test_generate_goes_on_as_the_forward_pass_says(nano: SailVl2ForConditionalGeneration) -> None:
    given = inputs(nano.eval(), 1)
    ids = given["input_ids"]
    nano.set_attn_implementation("sdpa")
    made = nano.generate(
        input_ids=ids,
        pixel_values=given["pixel_values"],
        attention_mask=torch.ones_like(ids),
        max_new_tokens=6,
        do_sample=False,
    )
    with torch.no_grad():
        logits = nano(input_ids=made, pixel_values=given["pixel_values"]).logits
    assert made[0, ids.shape[1] :].tolist() == logits[0, ids.shape[1] - 1 : -1].argmax(-1).tolist()
