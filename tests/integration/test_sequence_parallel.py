"""Two ranks that cut each pack's tokens among themselves, against one rank and plain PyTorch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.ranks import Ranks
from support.tiny_families import FAMILIES, conversations
from support.tiny_models import save_dense
from support.trained_on_ranks import OPTIMIZER, TEMPERATURE, Plan, Problem, assert_as_by_the_book, own_packs, train
from support.training import likelihood, sequences

from configs.cluster import LearnerConfig
from halyard.cluster.rank_types import Task
from halyard.cluster.types import TrainSequence
from halyard.errors import ConfigError
from model.build import build

PACKS = [[0, 1, 2, 6], [4, 5], [], [3, 7, 8, 9, 10, 11]]
SHARED: Plan = [PACKS, PACKS]


# What the ranks run -------------------------------------------------------------------------------------


def apart_and_together(rank: int, path: Path, learnt: list[TrainSequence]) -> dict[str, Any]:
    """Loss and gradients of one pack, by this rank alone and by both."""
    from torch import distributed

    from halyard.cluster.batch import collate
    from halyard.cluster.sequence_group import sequence_group
    from halyard.cluster.training_module import TrainingModule
    from model.load import load_policy

    policy, pack = load_policy(path, dtype=torch.float32), collate(learnt, least=2)
    found = {}
    for name, group in (("alone", None), ("both", sequence_group(2))):
        policy.zero_grad()
        value, result = TrainingModule(policy, load_balance=0.1, group=group)(pack, TEMPERATURE, likelihood)
        value.backward()
        gradients = {of: one.grad for of, one in policy.named_parameters() if one.grad is not None}
        told = {"loss": result.loss.detach(), **result.metrics}
        if group:
            everyone: list[Any] = [None, None]
            distributed.all_gather_object(everyone, told)
            told = {name: sum(one.get(name, 0.0) for one in everyone) for name in everyone[0]}
            for gradient in gradients.values():
                distributed.all_reduce(gradient)
        found[name] = {"told": told, "gradients": {of: one.clone() for of, one in gradients.items()}}
    return found


def score(rank: int, config: LearnerConfig, task: Task, step: list[TrainSequence]) -> dict[str, Any]:
    """Log-probs of the policy and of a reference by pack, and the sums of an evaluation."""
    from halyard.cluster.trainer import Trainer

    trainer = Trainer(config, task)
    trainer.freeze_reference()
    packs = own_packs(rank, step, SHARED)
    found = [trainer.logprobs(packs, TEMPERATURE, of_reference=of) for of in (False, True)]
    return {"logprobs": found, "sums": trainer.evaluate(packs, likelihood)}


def refusal(rank: int, config: LearnerConfig, task: Task) -> str:
    from halyard.cluster.trainer import Trainer

    try:
        Trainer(config, task)
    except ConfigError as error:
        return str(error)
    return ""


# What is expected of them -------------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "checkpointing"), [(0, True), (1, False), (2, False), (3, True)])
def test_images_train_as_by_plain_pytorch(ranks: Ranks, vision: Problem, stage: Any, checkpointing: bool) -> None:
    config = LearnerConfig(ranks=2, sequence_parallel=2, zero_stage=stage, activation_checkpointing=checkpointing)
    assert_as_by_the_book(ranks.run(train, config, vision.task, vision.steps, SHARED), vision.reference)


@pytest.mark.parametrize("stage", [0, 3])
def test_experts_train_as_by_plain_pytorch(ranks: Ranks, experts: Problem, stage: Any) -> None:
    config = LearnerConfig(ranks=2, sequence_parallel=2, zero_stage=stage)
    assert_as_by_the_book(ranks.run(train, config, experts.task, experts.steps, SHARED), experts.reference)


def test_experts_are_balanced_as_on_one_rank(ranks: Ranks, alone: Ranks, experts: Problem) -> None:
    task = replace(experts.task, optimizer=OPTIMIZER.model_copy(update={"load_balance": 0.5}))
    both = ranks.run(train, LearnerConfig(ranks=2, sequence_parallel=2), task, experts.steps, SHARED)
    (one,) = alone.run(train, LearnerConfig(), task, experts.steps, [PACKS])
    for expected, *shares in zip(one["updates"], *(answer["updates"] for answer in both), strict=True):
        for name, value in expected.metrics.items():
            assert sum(share.metrics.get(name, 0.0) for share in shares) == pytest.approx(value, rel=1e-5), name
    for name, weight in one["weights"].items():
        torch.testing.assert_close(both[0]["weights"][name], weight, atol=1e-6, rtol=0, msg=name)


@pytest.mark.parametrize("kind", [*FAMILIES, "micro-native", "one key-value head"])
def test_loss_and_gradients_of_each_family(ranks: Ranks, tmp_path: Path, kind: str) -> None:
    """The cut goes through an image where there are any."""
    path = tmp_path / "policy"
    if kind in FAMILIES:
        learnt = conversations(FAMILIES[kind](path))
    elif kind == "micro-native":
        build(kind, path, seed=0)
        learnt = conversations(path)
    else:
        learnt = sequences(save_dense(path, key_value_heads=1), 3, images=[False], seed=0)
    answers = ranks.run(apart_and_together, path, learnt)
    for answer in answers:
        alone, both = answer["alone"], answer["both"]
        torch.testing.assert_close(both["told"], alone["told"], atol=0, rtol=1e-5)
        assert both["gradients"].keys() == alone["gradients"].keys()
        for name, gradient in alone["gradients"].items():
            torch.testing.assert_close(both["gradients"][name], gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_a_single_token_is_filled_up(ranks: Ranks, experts: Problem) -> None:
    one = TrainSequence(token_ids=np.array([5]), loss_mask=np.zeros(1, bool), weights=np.zeros(1, np.float32))
    for answer in ranks.run(apart_and_together, experts.path, [one]):
        assert answer["both"]["told"]["loss"] == 0
        assert all(gradient.isfinite().all() for gradient in answer["both"]["gradients"].values())


@pytest.mark.parametrize("stage", [0, 3])
def test_forward_passes_are_those_of_one_rank(ranks: Ranks, alone: Ranks, vision: Problem, stage: Any) -> None:
    both = LearnerConfig(ranks=2, sequence_parallel=2, zero_stage=stage)
    (expected,) = alone.run(score, LearnerConfig(), vision.task, vision.steps[0])
    answers = ranks.run(score, both, vision.task, vision.steps[0])
    for answer in answers:
        for packs, expected_packs in zip(answer["logprobs"], expected["logprobs"], strict=True):
            for pack, expected_pack in zip(packs, expected_packs, strict=True):
                for one, expected_one in zip(pack, expected_pack, strict=True):
                    np.testing.assert_allclose(one, expected_one, atol=1e-5, rtol=0)
    for name, value in expected["sums"].items():
        assert sum(answer["sums"].get(name, 0.0) for answer in answers) == pytest.approx(value, rel=1e-5)


def test_heads_that_cannot_be_dealt_out_are_refused(ranks: Ranks, tmp_path: Path) -> None:
    path = save_dense(tmp_path / "policy", heads=3, key_value_heads=3)
    task = Task(path=path, optimizer=OPTIMIZER, steps=1, seed=0)
    config = LearnerConfig(ranks=2, sequence_parallel=2)
    expected = "cluster.learner.sequence_parallel is 2, but the policy's 3 attention heads and 3 key-value heads"
    for told in ranks.run(refusal, config, task):
        assert expected in told
        assert told.endswith("expected 1 or 3")
