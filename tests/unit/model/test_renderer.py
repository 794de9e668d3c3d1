"""What a policy is shown and what it learns: ids and masks of whole conversations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.tiny_models import QWEN3_TEMPLATE, save_dense

from halyard.errors import DataError
from model.chat_format import QWEN3, SAIL_VL2
from model.load import load_processor, template_ids
from model.render import ChatMessage, Rendered, Renderer
from model.sail_vl2 import SailVl2Processor
from model.show import show_mask

RED = Image.new("RGB", (112, 112), "red")
TURNS = [
    ChatMessage("system", "be short."),
    ChatMessage("user", "2 + 3?"),
    ChatMessage("assistant", "\\boxed{5}", reasoning="2 + 3 = 5."),
    ChatMessage("user", "and 2 more?"),
    ChatMessage("assistant", "\\boxed{7}", reasoning="5 + 2 = 7."),
]


def shown(renderer: Renderer, rendered: Rendered) -> str:
    return show_mask(renderer, rendered, colour=False)


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    return load_processor(save_dense(tmp_path_factory.mktemp("qwen3"), chat_template=QWEN3_TEMPLATE))


def test_a_thinking_answer_is_learnt_from_think_to_the_end_of_the_turn(renderer: Renderer) -> None:
    chat = [ChatMessage("user", "add.", (RED,)), ChatMessage("assistant", "\\boxed{8}", reasoning="6 + 2 = 8.")]
    assert shown(renderer, renderer.conversation(chat, thinking=True)) == (
        "<|im_start|>user⏎\n<img><IMG_CONTEXT>x16</img>add./think<|im_end|><|im_start|>assistant⏎\n"
        "[<think>][6][ + ][2][ = ][8][.][</think>][\\boxed{][8][}][<|im_end|>]"
    )


def test_a_direct_answer_is_learnt_alone(renderer: Renderer) -> None:
    chat = [ChatMessage("user", "add."), ChatMessage("assistant", "\\boxed{8}", reasoning="6 + 2 = 8.")]
    assert shown(renderer, renderer.conversation(chat, thinking=False)) == (
        "<|im_start|>user⏎\nadd./no_think<|im_end|><|im_start|>assistant⏎\n[\\boxed{][8][}][<|im_end|>]"
    )


def test_every_turn_is_learnt_with_its_reasoning(renderer: Renderer) -> None:
    rendered = renderer.conversation(TURNS, thinking=True)
    learnt = renderer.tokenizer.decode(rendered.token_ids[rendered.loss_mask])
    assert learnt == ("<think>2 + 3 = 5.</think>\\boxed{5}<|im_end|><think>5 + 2 = 7.</think>\\boxed{7}<|im_end|>")


def test_qwen3_learns_the_last_turn_and_drops_earlier_reasoning(qwen3: Renderer) -> None:
    assert qwen3.chat_format is QWEN3
    rendered = qwen3.conversation(TURNS, thinking=True)
    assert qwen3.tokenizer.decode(rendered.token_ids[rendered.loss_mask]) == (
        "<think>\n5 + 2 = 7.\n</think>\n\n\\boxed{7}<|im_end|>"
    )
    assert "2 + 3 = 5." not in qwen3.decode(rendered.token_ids)


def test_qwen3_shows_direct_mode_by_an_empty_block_in_the_prompt(qwen3: Renderer) -> None:
    rendered = qwen3.conversation(TURNS, thinking=False)
    assert qwen3.tokenizer.decode(rendered.token_ids[rendered.loss_mask]) == "\\boxed{7}<|im_end|>"
    prompt = qwen3.prompt(TURNS[:-1], thinking=False)
    assert qwen3.tokenizer.decode(prompt.token_ids).endswith("assistant\n<think>\n\n</think>\n\n")


@pytest.mark.parametrize("name", ["renderer", "qwen3"])
@pytest.mark.parametrize("thinking", [True, False])
def test_the_prompt_never_opens_a_think_block(name: str, thinking: bool, request: pytest.FixtureRequest) -> None:
    renderer = request.getfixturevalue(name)
    prompt = renderer.prompt(TURNS[:-1], thinking=thinking)
    assert not prompt.loss_mask.any()
    opened = (prompt.token_ids == renderer.id_of("<think>")).sum()
    assert opened == (prompt.token_ids == renderer.id_of("</think>")).sum()


texts = st.text(alphabet=st.sampled_from("ab 7.,\\{}\n<|>é漢/"), max_size=20) | st.sampled_from(
    ["<|im_end|>", "<think>", "</think>", "<IMG_CONTEXT>", "/no_think", "\\boxed{7}"]
)
answers = st.builds(
    lambda text, reasoning: ChatMessage("assistant", text, reasoning=reasoning), texts, st.none() | texts
)
questions = st.builds(
    lambda text, images: ChatMessage("user", text, (RED,) * images), texts, st.integers(min_value=0, max_value=2)
)
chats = st.lists(st.tuples(questions, answers), min_size=1, max_size=3).map(lambda pairs: [m for p in pairs for m in p])


@settings(max_examples=60, deadline=None)
@given(chat=chats, thinking=st.booleans())
def test_whatever_is_said_a_conversation_begins_with_its_prompt(
    renderer: Renderer, chat: list[ChatMessage], thinking: bool
) -> None:
    whole, prompt = renderer.conversation(chat, thinking=thinking), renderer.prompt(chat[:-1], thinking=thinking)
    start = len(prompt.token_ids)
    assert whole.token_ids[:start].tolist() == prompt.token_ids.tolist()
    assert whole.loss_mask[start:].all()
    assert whole.loss_mask.shape == whole.token_ids.shape
    turns = [m for m in chat if m.role == "assistant"]
    assert (whole.token_ids[whole.loss_mask] == renderer.eos_token_id).sum() == len(turns)
    assert (whole.token_ids == renderer.eos_token_id).sum() == len(chat)
    images = sum(len(m.images) for m in chat)
    assert (whole.token_ids == renderer.image_token_id).sum() == 16 * images
    assert len(whole.images) == images
    assert not whole.loss_mask[whole.token_ids == renderer.image_token_id].any()


plain = st.text(alphabet=st.sampled_from("abc 7.,+={}\n é漢"), max_size=30)


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.tuples(plain, plain, st.none() | plain.filter(bool)), min_size=1, max_size=3),
    thinking=st.booleans(),
    prompt=st.booleans(),
)
def test_ids_are_those_of_the_chat_template(
    renderer: Renderer, parts: list[tuple[str, str, str | None]], thinking: bool, prompt: bool
) -> None:
    chat = [m for q, a, r in parts for m in (ChatMessage("user", q), ChatMessage("assistant", a, reasoning=r))]
    chat = chat[:-1] if prompt else chat
    write = renderer.prompt if prompt else renderer.conversation
    expected = template_ids(renderer.tokenizer, chat, thinking=thinking, prompt=prompt)
    assert write(chat, thinking=thinking).token_ids.tolist() == expected


@pytest.mark.parametrize("thinking", [True, False])
def test_ids_and_pixels_are_those_of_the_processor(renderer: Renderer, nano_folder: Path, thinking: bool) -> None:
    processor = SailVl2Processor.from_pretrained(nano_folder)
    wide = Image.new("RGB", (300, 100), "blue")
    content = [{"type": "image", "image": wide}, {"type": "image", "image": RED}, {"type": "text", "text": "which?"}]
    theirs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        enable_thinking=thinking,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    ours = renderer.prompt([ChatMessage("user", "which?", (wide, RED))], thinking=thinking)
    assert ours.token_ids.tolist() == theirs["input_ids"][0].tolist()
    assert ours.pixel_values is not None
    assert np.array_equal(ours.pixel_values, theirs["pixel_values"].numpy())


def test_decoding_keeps_the_think_tags_alone(renderer: Renderer) -> None:
    chat = [ChatMessage("user", "add.", (RED,)), ChatMessage("assistant", "\\boxed{8}", reasoning="so 8.")]
    rendered = renderer.conversation(chat, thinking=True)
    assert renderer.decode(rendered.token_ids[rendered.loss_mask]) == "<think>so 8.</think>\\boxed{8}"
    assert renderer.decode(rendered.token_ids) == "user\nadd.assistant\n<think>so 8.</think>\\boxed{8}"


def test_a_text_policy_refuses_images(qwen3: Renderer) -> None:
    assert qwen3.image_token_id is None
    with pytest.raises(DataError, match="has an image, but this policy reads text only"):
        qwen3.prompt([ChatMessage("user", "what?", (RED,))], thinking=True)


def test_chats_without_the_right_end_are_refused(renderer: Renderer) -> None:
    with pytest.raises(DataError, match="a prompt ends with a turn of the user"):
        renderer.prompt(TURNS, thinking=True)
    with pytest.raises(DataError, match="ends with a turn of the assistant"):
        renderer.conversation(TURNS[:-1], thinking=True)
    with pytest.raises(DataError, match="a policy writes text alone"):
        renderer.conversation([TURNS[1], ChatMessage("assistant", "here", (RED,))], thinking=True)


def test_the_mask_for_people(renderer: Renderer) -> None:
    chat = [ChatMessage("user", "add."), ChatMessage("assistant", "8")]
    text = show_mask(renderer, renderer.conversation(chat, thinking=False))
    assert "\033[2madd\033[0m" in text
    assert "\033[30;42m8\033[0m" in text


def test_sail_vl2_is_the_format_of_our_own_folders(renderer: Renderer) -> None:
    assert renderer.chat_format is SAIL_VL2
    assert renderer.vocab_size == 640
