"""Other vision-language families in the trainers: a step of each, and a snapshot that loads as what was saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_families import FAMILIES, conversations

from halyard.cluster import weights
from halyard.cluster.batch import collate
from halyard.cluster.training_module import TrainingModule
from halyard.cluster.types import LossFunction, TrainSequence
from model.components import frozen
from model.load import load_policy, load_processor
from model.weight_files import write_safetensors
from rl.losses import PolicyLoss
from sft.loss import cross_entropy

POLICY_LOSS = PolicyLoss(
    ratio="token", clip_low=0.2, clip_high=0.28, kl_coef=0.0, correction="none", correction_cap=2.0
)


@pytest.fixture(params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return FAMILIES[request.param](tmp_path / "policy")


def losses(policy: Any, sequences: list[TrainSequence], loss: LossFunction, steps: int) -> list[float]:
    """The loss before each of some steps, and after the last."""
    module, pack = TrainingModule(policy), collate(sequences)
    optimizer = torch.optim.AdamW([p for p in policy.parameters() if p.requires_grad], lr=1e-3)
    found = []
    for _ in range(steps + 1):
        optimizer.zero_grad()
        value, _ = module(pack, 1.0, loss)
        value.backward()
        optimizer.step()
        found.append(value.item())
    return found


def test_supervised_steps_learn_and_leave_what_is_frozen(folder: Path) -> None:
    policy = load_policy(folder, dtype=torch.float32)
    before = {name: parameter.detach().clone() for name, parameter in policy.named_parameters()}
    for name, parameter in policy.named_parameters():
        parameter.requires_grad_(not frozen(name, ["vision"]))
    found = losses(policy, conversations(folder), cross_entropy, 4)
    assert found[-1] < 0.8 * found[0]
    changed = {name for name, parameter in policy.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {name for name in before if not frozen(name, ["vision"])}


def test_a_policy_step_makes_what_was_rewarded_likelier(folder: Path) -> None:
    policy = load_policy(folder, dtype=torch.float32)
    answered = [
        replace(one, advantages=np.where(one.loss_mask, sign, 0).astype(np.float32))
        for one, sign in zip(conversations(folder), (1.0, -1.0, 1.0), strict=True)
    ]
    module = TrainingModule(policy)
    with torch.no_grad():
        old, _ = module(collate(answered), 1.0)
    losses(policy, answered, POLICY_LOSS, 1)
    with torch.no_grad():
        new, _ = module(collate(answered), 1.0)
    advantages = collate(answered).advantages
    assert (advantages * (new - old)).sum() > 0


def test_a_snapshot_loads_as_what_was_saved(folder: Path, tmp_path: Path) -> None:
    policy: Any = load_policy(folder, dtype=torch.float32)
    losses(policy, conversations(folder), cross_entropy, 1)
    saved = tmp_path / "snapshot"
    weights.write_description(folder, saved, policy)
    module = TrainingModule(policy)
    write_safetensors(saved / "model.safetensors", weights.layout(module), weights.stream(module), durable=False)
    again = load_policy(saved, dtype=torch.float32)
    for (name, ours), (_, theirs) in zip(policy.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(ours, theirs), name
    assert load_processor(saved).image_token_id == load_processor(folder).image_token_id
