"""Other vision-language families: what a learner computes is what transformers' own forward pass computes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.tiny_families import FAMILIES, save_text_inside
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from halyard.errors import DataError, SnapshotError
from model.components import component, frozen
from model.families import SEEING
from model.hidden import hidden_states, silent_token
from model.load import load_policy, load_processor
from model.render import ChatMessage, Rendered, Renderer

PARTS = ("vision", "connector", "language")
RANDOM = np.random.default_rng(0)
SIZES = [(112, 112), (150, 100), (60, 200), (1, 1), (300, 30), (31, 500)]
QUESTION = ChatMessage("user", "2 + 3?")


def noise(size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(RANDOM.integers(0, 255, (*size[::-1], 3), dtype=np.uint8))


@dataclass
class Case:
    name: str
    folder: Path
    renderer: Renderer
    policy: Any


@pytest.fixture(scope="module", params=FAMILIES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = FAMILIES[request.param](tmp_path_factory.mktemp(request.param))
    return Case(request.param, folder, load_processor(folder), load_policy(folder, dtype=torch.float32))


def states(policy: Any, *rendered: Rendered) -> torch.Tensor:
    """Hidden states [tokens, hidden] of sequences laid end to end in one pack."""
    lengths = [len(one.token_ids) for one in rendered]
    ids = torch.from_numpy(np.concatenate([one.token_ids for one in rendered]))[None]
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    images = [
        torch.from_numpy(np.concatenate(arrays)) if arrays else None
        for arrays in (
            [one.pixel_values for one in rendered if one.pixel_values is not None],
            [one.image_grids for one in rendered if one.image_grids is not None],
        )
    ]
    return hidden_states(policy, ids, positions, *images).states


def of_transformers(case: Case, one: Rendered) -> torch.Tensor:
    """The same of one sequence by the class as transformers has it, with positions of its own making."""
    policy = type(case.policy).from_pretrained(case.folder, dtype=torch.float32).eval()
    ids = torch.from_numpy(one.token_ids)[None]
    images: dict[str, Any] = {}
    if one.pixel_values is not None:
        images["pixel_values"] = torch.from_numpy(one.pixel_values)
    if one.image_grids is not None:
        grids = torch.from_numpy(one.image_grids)
        images["image_grid_thw"] = torch.cat([torch.ones_like(grids[:, :1]), grids], dim=1)
        images["mm_token_type_ids"] = (ids == policy.config.image_token_id).int()
    elif one.pixel_values is not None:
        images["vision_feature_layer"] = policy.config.vision_feature_layer
        images["vision_feature_select_strategy"] = policy.config.vision_feature_select_strategy
    with torch.no_grad():
        return policy.model(input_ids=ids, **images).last_hidden_state[0]


def test_a_learner_computes_what_transformers_does(case: Case) -> None:
    images = (noise((150, 100)), noise((60, 200)))
    for question in (QUESTION, ChatMessage("user", "which?", images)):
        one = case.renderer.prompt([question], thinking=False)
        torch.testing.assert_close(states(case.policy, one), of_transformers(case, one), atol=2e-5, rtol=1e-4)


def test_a_pack_is_its_sequences_one_by_one(case: Case) -> None:
    chats = [
        [QUESTION],
        [ChatMessage("user", "what?", (noise((112, 112)),)), ChatMessage("assistant", "a", reasoning="b")],
        [ChatMessage("user", "which?", (noise((60, 200)), noise((150, 90))))],
        [QUESTION],
    ]
    rendered = [
        case.renderer.conversation(chat, thinking=True)
        if chat[-1].role == "assistant"
        else case.renderer.prompt(chat, thinking=False)
        for chat in chats
    ]
    rendered += rendered[1:3]  # a group's answers have the same images
    alone = torch.cat([states(case.policy, one) for one in rendered])
    torch.testing.assert_close(states(case.policy, *rendered), alone, atol=1e-5, rtol=1e-4)


def test_no_view_has_more_visual_tokens_than_an_engine_makes_room_for(case: Case) -> None:
    sight: Any = SEEING[case.name].sight(case.folder, case.policy.config)
    for size in [*SIZES, (2000, 1000), (1000, 1000)]:
        for view in sight.views(noise(size)):
            assert sight.tokens(view.size, 1) <= sight.most_tokens
    for room in (16, sight.most_tokens):
        square = sight.square(room)
        assert sight.tokens(square, 1) <= room
        assert sight.views(noise(square))[0].size == square


def test_without_images_every_weight_of_the_tower_has_a_gradient_of_zero(case: Case) -> None:
    """ZeRO-3's ranks gather weights together, whatever their packs hold."""
    case.policy.zero_grad()
    states(case.policy, case.renderer.prompt([QUESTION], thinking=False)).sum().backward()
    gradients = {name: p.grad for name, p in case.policy.named_parameters() if component(name) != "language"}
    assert gradients
    assert all(gradient is not None and not gradient.any() for gradient in gradients.values())


def test_every_weight_belongs_to_a_part_that_can_be_frozen(case: Case) -> None:
    names = [name for name, _ in case.policy.named_parameters()]
    parts = [{name for name in names if frozen(name, [part])} for part in PARTS]
    assert all(parts)
    assert sum(map(len, parts)) == len(names)
    assert set.union(*parts) == set(names)
    decoder = {f"{one}." for one in ("model.language_model", "lm_head")}
    assert parts[2] == {name for name in names if name.startswith(tuple(decoder))}
    assert parts[1] == {name for name in names if "merger" in name or "projector" in name}


@pytest.mark.parametrize("size", SIZES)
def test_tokens_are_known_before_an_image_is_opened(case: Case, size: tuple[int, int]) -> None:
    one = case.renderer.prompt([ChatMessage("user", "what?", (noise(size),))], thinking=False)
    expected = case.renderer.visual_tokens([size])[0]
    assert int((one.token_ids == case.renderer.image_token_id).sum()) == expected
    assert silent_token(case.policy) == case.renderer.image_token_id


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_those_of_the_familys_own_processor(case: Case, size: tuple[int, int]) -> None:
    image = noise(size)
    one = case.renderer.prompt([ChatMessage("user", "what?", (image,))], thinking=False)
    if case.name == "internvl":
        tiles: Any = GotOcr2ImageProcessorPil.from_pretrained(case.folder)
        made = tiles(image, crop_to_patches=True, return_tensors="np")
    else:
        made = Qwen2VLImageProcessorPil.from_pretrained(case.folder)(image, return_tensors="np")
        np.testing.assert_array_equal(one.image_grids, made["image_grid_thw"][:, 1:])
    np.testing.assert_array_equal(one.pixel_values, made["pixel_values"])


def test_what_a_policy_writes_is_learnt_with_think_marks_or_plain_text(case: Case) -> None:
    chat = [QUESTION, ChatMessage("assistant", "\\boxed{5}", reasoning="two and three")]
    one = case.renderer.conversation(chat, thinking=True)
    assert case.renderer.decode(one.token_ids[one.loss_mask]) == "<think>\ntwo and three\n</think>\n\n\\boxed{5}"


def test_an_image_that_the_family_cannot_see_is_refused(tmp_path: Path) -> None:
    renderer = load_processor(FAMILIES["qwen3_vl"](tmp_path / "policy"))
    with pytest.raises(DataError, match="an image of 1x300 pixels is too narrow for this policy"):
        renderer.prompt([ChatMessage("user", "what?", (noise((1, 300)),))], thinking=False)


def test_another_chat_template_is_refused(tmp_path: Path) -> None:
    folder = FAMILIES["internvl"](tmp_path / "policy")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<IMG_CONTEXT>\\n", "<IMG_CONTEXT>"))
    with pytest.raises(SnapshotError, match="is not one that Halyard can write: expected ids as InternVL lay them out"):
        load_processor(folder)


def test_tiles_that_the_tower_cannot_see_are_refused(tmp_path: Path) -> None:
    folder = FAMILIES["internvl"](tmp_path / "policy")
    settings = folder / "preprocessor_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"size": {"height": 56, "width": 56}}))
    with pytest.raises(SnapshotError, match=r"makes tiles of 56x56 pixels, but the tower of config.json sees 112x112"):
        load_processor(folder)


def test_a_decoder_that_is_not_the_familys_is_refused(tmp_path: Path) -> None:
    folder = save_text_inside(tmp_path / "policy", "llama")
    with pytest.raises(SnapshotError, match="has a llama inside; expected one of qwen2, qwen3, qwen3_moe"):
        load_policy(folder, dtype=torch.float32)
