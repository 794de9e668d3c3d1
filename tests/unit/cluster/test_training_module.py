"""From a pack to a loss: the balance of experts beside the loss function's own, and images of native size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.tiny_models import save_moe
from support.training import likelihood, sequences

from halyard.cluster.batch import collate
from halyard.cluster.training_module import TrainingModule
from halyard.cluster.types import TrainSequence
from model.build import build
from model.experts import Routing
from model.hidden import hidden_states
from model.load import load_policy, load_processor
from model.render import ChatMessage


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_moe(tmp_path_factory.mktemp("moe") / "policy")


def test_a_pack_adds_its_share_of_the_balance(folder: Path) -> None:
    policy = load_policy(folder, dtype=torch.float32)
    learnt = sequences(folder, 8, images=[False], seed=0)
    pack = collate(learnt[:2])  # a quarter of the step's learnt tokens
    value, result = TrainingModule(policy, load_balance=0.01)(pack, 1.0, likelihood)
    plain, _ = TrainingModule(policy)(pack, 1.0, likelihood)
    logits = hidden_states(policy, pack.input_ids, pack.position_ids, None).router_logits
    balance = Routing.of(logits, 2, lambda _: None).loss
    torch.testing.assert_close(value - plain, 0.01 * 0.25 * balance, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(result.loss, plain)
    torch.testing.assert_close(result.metrics["router_balance_loss"], 0.25 * balance.detach())
    assert {"entropy", "router_entropy", "router_busiest", "router_idle"} <= result.metrics.keys()


def test_without_a_gradient_there_is_no_balance(folder: Path) -> None:
    module = TrainingModule(load_policy(folder, dtype=torch.float32), load_balance=0.01)
    pack = collate(sequences(folder, 2, images=[False], seed=0))
    with torch.no_grad():
        value, result = module(pack, 1.0, likelihood)
    assert torch.equal(value, result.loss)
    assert "router_balance_loss" not in result.metrics


def test_images_of_native_size_of_several_sequences(tmp_path: Path) -> None:
    """Packed, each sequence gets what it gets alone, its images of whatever size included."""
    build("micro-native", tmp_path, seed=0)
    policy, renderer = load_policy(tmp_path, dtype=torch.float32).eval(), load_processor(tmp_path)
    sizes = [[(60, 130)], [], [(112, 112), (30, 200)]]
    chats = [
        [ChatMessage("user", "which?", tuple(Image.effect_noise(s, 70).convert("RGB") for s in one))] for one in sizes
    ]
    rendered = [renderer.prompt(chat, thinking=True) for chat in chats]
    sequences = [
        TrainSequence(
            token_ids=one.token_ids,
            loss_mask=np.arange(len(one.token_ids)) > 0,
            weights=np.ones(len(one.token_ids), np.float32),
            pixel_values=one.pixel_values,
            image_grids=one.image_grids,
        )
        for one in rendered
    ]
    module = TrainingModule(policy)
    with torch.no_grad():
        together, _ = module(collate(sequences), 1.0)
        alone = [module(collate([one]), 1.0)[0] for one in sequences]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)
