"""What the architecture can be besides fixed and dense: native resolution, other layers, experts, attentions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from model.load import load_policy, load_processor
from model.render import ChatMessage, Rendered
from model.sail_vl2 import SailVl2Config, SailVl2ForConditionalGeneration, SailVl2VisionConfig, SailVl2VisionModel
from model.sail_vl2.vision import interpolated, pixel_shuffle

NOISE = [
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8))
    for seed, shape in enumerate([(90, 200, 3), (112, 112, 3), (30, 30, 3)])
]


def small(**changes: Any) -> SailVl2VisionConfig:
    return SailVl2VisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2, image_size=56, **changes
    )


def tower(**changes: Any) -> SailVl2VisionModel:
    torch.manual_seed(0)
    made = SailVl2VisionModel(small(**changes)).eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    return made


def as_patches(image: Tensor) -> Tensor:
    """[3, height, width] cut into [patches, 3, 14, 14] by torch's own unfold."""
    blocks = image.unfold(1, 14, 14).unfold(2, 14, 14)  # 3, rows, columns, 14, 14
    return blocks.permute(1, 2, 0, 3, 4).flatten(0, 1)


def prompts(folder: Path, *images: Image.Image) -> Rendered:
    return load_processor(folder).prompt([ChatMessage("user", "which?", images)], thinking=True)


def inputs(rendered: Rendered) -> dict[str, Any]:
    ids = torch.from_numpy(rendered.token_ids)[None]
    seen = {"pixel_values": rendered.pixel_values, "image_grids": rendered.image_grids}
    return {
        "input_ids": ids,
        "position_ids": torch.arange(ids.shape[1])[None],
        **{name: torch.from_numpy(value) for name, value in seen.items() if value is not None},
    }


def test_at_the_tables_own_size_native_resolution_changes_nothing() -> None:
    model = tower()
    images = torch.randn(2, 3, 56, 56)
    native = model(torch.cat([as_patches(image) for image in images]), [(4, 4), (4, 4)])
    torch.testing.assert_close(native.view(2, 16, 32), model(images), atol=1e-5, rtol=1e-5)


def test_images_of_native_size_do_not_see_each_other() -> None:
    model = tower()
    one, other = torch.randn(3, 28, 70), torch.randn(3, 56, 14)
    both = model(torch.cat([as_patches(one), as_patches(other)]), [(2, 5), (4, 1)])[0]
    alone = [model(as_patches(image), [grid])[0] for image, grid in ((one, (2, 5)), (other, (4, 1)))]
    torch.testing.assert_close(both, torch.cat(alone), atol=1e-5, rtol=1e-5)


def test_positions_follow_the_grid() -> None:
    """A table that rises evenly to the right still does after interpolation, over the same span."""
    columns = torch.linspace(0.0, 1.0, 8)
    table = columns.repeat(8, 1).reshape(64, 1)
    wide = interpolated(table, 8, (4, 16)).view(4, 16)
    assert torch.allclose(wide, wide[:1].expand(4, 16), atol=1e-5)
    steps = wide[0, 3:13].diff()
    assert torch.allclose(steps, torch.full_like(steps, 0.5 / 7), atol=2e-3)
    assert interpolated(table, 8, (8, 8)) is table


def test_grids_that_are_not_those_of_the_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="the grids of 1 images hold 6 patches, not 4"):
        tower()(torch.randn(4, 3, 14, 14), [(2, 3)])


def test_native_images_stand_at_their_placeholders(variants: dict[str, Path]) -> None:
    policy: Any = load_policy(variants["micro-native"], dtype=torch.float32).eval()
    given = inputs(prompts(variants["micro-native"], *NOISE))
    embedded = policy.embed(given["input_ids"], given["pixel_values"], given["image_grids"])[0]
    places = given["input_ids"][0] == policy.config.image_token_id
    expected = []
    at = 0
    for height, width in given["image_grids"].tolist():
        patches = given["pixel_values"][at : at + height * width]
        features = policy.vision_model(patches, [(height, width)]).view(1, height, width, -1)
        expected.append(policy.mlp1(pixel_shuffle(features)[0].flatten(0, 1)))
        at += height * width
    torch.testing.assert_close(embedded[places], torch.cat(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layer", [-3, -2, 0, 1, 2])
def test_a_selected_layer_is_its_blocks_output_before_the_last_norm(layer: int) -> None:
    model, pixels = tower(), torch.randn(1, 3, 56, 56)
    outputs: list[Tensor] = []
    for block in model.trunk.blocks:
        block.register_forward_hook(lambda *given: outputs.append(given[-1]))
    model(pixels)
    assert torch.equal(model(pixels, select_layer=layer), outputs[:3][layer])


def test_what_lies_above_the_selected_layer_is_not_trained() -> None:
    config = SailVl2Config(vision_config=small(), select_layer=-2, text_config=tiny_text())
    policy = SailVl2ForConditionalGeneration(config)
    frozen = {name for name, p in policy.named_parameters() if not p.requires_grad}
    assert {name.split(".")[2] + name.split(".")[3] for name in frozen if "blocks" in name} == {"blocks2"}
    assert "vision_model.trunk.post_trunk_norm.weight" in frozen
    policy.get_image_features(torch.randn(1, 3, 56, 56)).pooler_output.sum().backward()  # pyright: ignore
    seeing = [p for n, p in policy.named_parameters() if not n.startswith("language_model") and n not in frozen]
    assert all(p.grad is not None for p in seeing)


def tiny_text() -> dict[str, Any]:
    return {
        "vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "head_dim": 8,
        "num_attention_heads": 2, "num_key_value_heads": 1,
    }  # fmt: skip


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_is_not_there_is_refused(layer: int) -> None:
    with pytest.raises(ValueError, match=f"select_layer is {layer}, but the vision tower has 3 layers"):
        SailVl2Config(vision_config=small(), select_layer=layer)


def test_an_unknown_language_model_is_refused() -> None:
    with pytest.raises(ValueError, match="the language model is llama, expected one of qwen3, qwen3_moe"):
        SailVl2Config(text_config={"model_type": "llama"})


@pytest.mark.parametrize("size", ["micro-tiles", "micro-native", "micro-moe"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_every_attention_gives_the_same_log_probs(variants: dict[str, Path], size: str, attention: str) -> None:
    """Ours against transformers' own two; flash attention takes the same way through the interface, on a GPU."""
    given = inputs(prompts(variants[size], *NOISE[:2]))
    found = []
    for name in ("packed", attention):
        policy = load_policy(variants[size], dtype=torch.float32, attention=name).eval()
        assert policy.vision_model.config._attn_implementation == name  # pyright: ignore
        with torch.no_grad():
            found.append(policy(**given).logits.log_softmax(-1))
    torch.testing.assert_close(found[0], found[1], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("size", ["micro-native", "micro-moe"])
def test_activation_checkpointing_changes_nothing(variants: dict[str, Path], size: str) -> None:
    given = inputs(prompts(variants[size], NOISE[0]))
    gradients = []
    for checkpointing in (False, True):
        policy = load_policy(variants[size], dtype=torch.float32)
        if checkpointing:
            policy.gradient_checkpointing_enable({"use_reentrant": False})
        policy(**given).logits.log_softmax(-1)[..., 5].sum().backward()
        gradients.append({name: p.grad for name, p in policy.named_parameters()})
    assert all(grad is not None for grad in gradients[0].values())
    torch.testing.assert_close(gradients[1], gradients[0])


def test_experts_are_stored_one_by_one_as_in_qwen3s_folders(variants: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    names = load_file(variants["micro-moe"] / "model.safetensors")
    assert names["language_model.model.layers.0.mlp.experts.7.down_proj.weight"].shape == (128, 96)
    assert names["language_model.model.layers.0.mlp.gate.weight"].shape == (8, 128)
    policy: Any = load_policy(variants["micro-moe"], dtype=torch.float32)
    fused = policy.language_model.model.layers[1].mlp.experts
    stored = [names[f"language_model.model.layers.1.mlp.experts.{n}.down_proj.weight"] for n in range(8)]
    assert torch.equal(fused.down_proj, torch.stack(stored))
