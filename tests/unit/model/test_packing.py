"""A pack gives what its sequences give alone: logits and gradients, for every architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from model import attention
from model.attention import Packing
from model.load import load_policy
from model.render import ChatMessage, Renderer

LENGTHS = (7, 1, 23, 12)


def loss_of(logits: Tensor, ids: Tensor) -> Tensor:
    """Sum over a sequence of the log-probabilities of its tokens."""
    return -logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None]).sum()


def gradients(policy: Any) -> dict[str, Tensor]:
    found = {name: p.grad.clone() for name, p in policy.named_parameters() if p.grad is not None}
    policy.zero_grad()
    return found


def run(policy: Any, sequences: list[dict[str, Tensor]]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Logits by sequence, and gradients of the summed losses, each sequence alone."""
    logits = []
    for sequence in sequences:
        out = policy(position_ids=torch.arange(sequence["input_ids"].shape[1])[None], **sequence).logits
        loss_of(out, sequence["input_ids"]).backward()
        logits.append(out.detach())
    return logits, gradients(policy)


def run_packed(policy: Any, sequences: list[dict[str, Tensor]]) -> tuple[list[Tensor], dict[str, Tensor]]:
    lengths = [sequence["input_ids"].shape[1] for sequence in sequences]
    images = [sequence["pixel_values"] for sequence in sequences if "pixel_values" in sequence]
    out = policy(
        input_ids=torch.cat([sequence["input_ids"] for sequence in sequences], dim=1),
        position_ids=torch.cat([torch.arange(n) for n in lengths])[None],
        **({"pixel_values": torch.cat(images)} if images else {}),
    ).logits
    parts = out.split(lengths, dim=1)
    torch.stack([loss_of(part, s["input_ids"]) for part, s in zip(parts, sequences, strict=True)]).sum().backward()
    return [part.detach() for part in parts], gradients(policy)


def assert_same(alone: tuple, packed: tuple) -> None:
    for one, other in zip(alone[0], packed[0], strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert alone[1].keys() == packed[1].keys()
    for name, gradient in alone[1].items():
        scale = float(gradient.abs().max()) + 1e-8
        torch.testing.assert_close(gradient / scale, packed[1][name] / scale, atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize("kind", ["dense", "moe"])
def test_text_policies(kind: str, request: pytest.FixtureRequest) -> None:
    policy = load_policy(request.getfixturevalue(f"{kind}_folder"), dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    sequences = [{"input_ids": torch.randint(10, 640, (1, n), generator=generator)} for n in LENGTHS]
    assert_same(run(policy, sequences), run_packed(policy, sequences))


def test_images_of_several_sequences(nano: Any, renderer: Renderer) -> None:
    red, blue = Image.new("RGB", (112, 112), "red"), Image.new("RGB", (60, 112), "blue")
    chats = [
        [ChatMessage("user", "what colour?", (red,)), ChatMessage("assistant", "red")],
        [ChatMessage("user", "2 + 3?"), ChatMessage("assistant", "5")],
        [ChatMessage("user", "which two?", (blue, red)), ChatMessage("assistant", "blue and red")],
    ]
    sequences = []
    for chat in chats:
        rendered = renderer.conversation(chat, thinking=False)
        sequence = {"input_ids": torch.from_numpy(rendered.token_ids)[None]}
        if rendered.pixel_values is not None:
            sequence["pixel_values"] = torch.from_numpy(rendered.pixel_values)
        sequences.append(sequence)
    assert_same(run(nano, sequences), run_packed(nano, sequences))


def test_tokens_do_not_see_other_sequences(dense_folder: Path) -> None:
    policy = load_policy(dense_folder, dtype=torch.float32).eval()
    positions = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 0, 1]])
    first = torch.tensor([[11, 12, 13, 14, 21, 22, 23, 31, 32]])
    second = first.clone()
    second[0, :4] = 99
    with torch.no_grad():
        one, other = (policy(input_ids=ids, position_ids=positions).logits for ids in (first, second))
    assert torch.equal(one[:, 4:], other[:, 4:])
    assert not torch.allclose(one[:, :4], other[:, :4])


def test_lengths_are_read_once_in_a_forward_pass(dense_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = load_policy(dense_folder, dtype=torch.float32)
    calls = []
    read = Packing.of

    def counted(position_ids: Tensor) -> Packing:
        calls.append(position_ids)
        return read(position_ids)

    monkeypatch.setattr(attention.Packing, "of", counted)
    policy(input_ids=torch.arange(10, 16)[None], position_ids=torch.tensor([[0, 1, 2, 0, 1, 2]]))
    assert len(calls) == 1


@pytest.mark.parametrize("positions", [[1, 2, 3], [0, 1, 3], [0, 1, 1], [0, 1, 2, 1, 2]])
def test_position_ids_that_are_no_pack_are_refused(positions: list[int]) -> None:
    with pytest.raises(ValueError, match="count up from 0"):
        Packing.of(torch.tensor([positions]))


def test_a_padding_mask_is_refused(dense_folder: Path) -> None:
    policy = load_policy(dense_folder, dtype=torch.float32)
    layer = policy.get_decoder().layers[0].self_attn
    states = torch.zeros(1, 4, 3, 32)
    with pytest.raises(ValueError, match="no attention mask"):
        attention.packed_attention(layer, states, states, states, torch.ones(1, 1, 3, 3))


def test_what_is_no_pack_is_refused(dense_folder: Path) -> None:
    policy = load_policy(dense_folder, dtype=torch.float32)
    ids = torch.arange(10, 16).view(2, 3)
    with pytest.raises(ValueError, match="one row of tokens, but there are 2"):
        policy(input_ids=ids, position_ids=torch.tensor([[0, 1, 2], [0, 0, 1]]))
    with pytest.raises(ValueError, match="count up from 0"):
        policy.generate(ids[:1], attention_mask=torch.ones(1, 3), max_new_tokens=3)
    layer = policy.get_decoder().layers[0].self_attn
    with pytest.raises(ValueError, match="no key-value cache"):
        attention.packed_attention(layer, torch.zeros(1, 4, 1, 32), *[torch.zeros(1, 2, 3, 32)] * 2)


def test_activation_checkpointing_changes_nothing(nano: Any, renderer: Renderer) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (112, 112, 3), dtype=np.uint8))
    rendered = renderer.conversation(
        [ChatMessage("user", "what?", (image,)), ChatMessage("assistant", "noise")], thinking=False
    )
    sequence = {
        "input_ids": torch.from_numpy(rendered.token_ids)[None],
        "pixel_values": torch.from_numpy(rendered.pixel_values),
    }
    plain = run_packed(nano, [sequence, sequence])
    nano.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert_same(plain, run_packed(nano, [sequence, sequence]))
