"""DeepSpeed under all four ZeRO stages on two ranks, against plain PyTorch."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.ranks import Ranks
from support.trained_on_ranks import OPTIMIZER, TEMPERATURE, Plan, Problem, assert_as_by_the_book, own_packs, train
from support.training import likelihood

from configs.cluster import LearnerConfig
from configs.training import PartRates
from halyard.cluster.rank_types import Task
from halyard.cluster.types import LossInputs, LossOutput, TrainSequence
from halyard.errors import LearnerError

UNEVEN: Plan = [[[0, 1], [2, 6], [4, 5]], [[3, 7], [], [8, 9, 10, 11]]]
EVEN: Plan = [[[0, 2, 4, 6, 8, 10]], [[1, 3, 5, 7, 9, 11]]]


# What the ranks run -------------------------------------------------------------------------------------


def resume(rank: int, config: LearnerConfig, task: Task, steps: Any, plan: Plan, folder: Path) -> dict[str, Any]:
    """Checksums after the third step, uninterrupted and resumed after the second."""
    from halyard.cluster import checkpoint_files
    from halyard.cluster.trainer import Trainer

    trainer = Trainer(config, task)
    for step in steps[:2]:
        trainer.update(own_packs(rank, step, plan), likelihood, TEMPERATURE)
    trainer.save_checkpoint(folder)
    trainer.update(own_packs(rank, steps[2], plan), likelihood, TEMPERATURE)
    uninterrupted = dict(trainer.checksums())
    checkpoint_files.verify(folder)
    again = Trainer(config, task)
    assert again.load_checkpoint(folder) == 2
    again.update(own_packs(rank, steps[2], plan), likelihood, TEMPERATURE)
    return {"uninterrupted": uninterrupted, "resumed": dict(again.checksums())}


def go_on(rank: int, config: LearnerConfig, task: Task, steps: Any, plan: Plan, folder: Path) -> dict[str, Any]:
    """Weights after the third step, from a checkpoint after the second."""
    from halyard.cluster.trainer import Trainer

    trainer = Trainer(config, task)
    trainer.load_checkpoint(folder)
    trainer.update(own_packs(rank, steps[2], plan), likelihood, TEMPERATURE)
    return {name: tensor.clone() for name, tensor in trainer.stream()}


def look(rank: int, config: LearnerConfig, task: Task, steps: Any, plan: Plan) -> dict[str, Any]:
    """What forward passes without a step say, before and after one."""
    from halyard.cluster.trainer import Trainer

    trainer = Trainer(config, task)
    trainer.freeze_reference()
    packs = own_packs(rank, steps[0], plan)
    before = trainer.logprobs(packs, TEMPERATURE, of_reference=False)
    sums = trainer.evaluate(packs, likelihood)
    trainer.update(packs, likelihood, TEMPERATURE)
    after = trainer.logprobs(packs, TEMPERATURE, of_reference=False)
    frozen = trainer.logprobs(packs, TEMPERATURE, of_reference=True)
    return {"before": before, "after": after, "frozen": frozen, "sums": sums}


def fail(rank: int, config: LearnerConfig, task: Task, steps: Any, plan: Plan, loss: Any) -> dict[str, Any]:
    from halyard.cluster.trainer import Trainer

    trainer = Trainer(config, task)
    before = dict(trainer.checksums())
    message = ""
    try:
        trainer.update(own_packs(rank, steps[0], plan), loss, TEMPERATURE)
    except LearnerError as error:
        message = str(error)
    return {"message": message, "unchanged": dict(trainer.checksums()) == before}


def not_a_number(inputs: LossInputs) -> LossOutput:
    output = likelihood(inputs)
    return LossOutput(loss=output.loss * float("nan")) if inputs.weights.max() > 0.5 else output


def broken(inputs: LossInputs) -> LossOutput:
    if inputs.weights.max() > 0.5:
        raise KeyError("advantages")
    return likelihood(inputs)


def exploding(inputs: LossInputs) -> LossOutput:
    """A finite loss with an infinite gradient: the slope of sqrt at 0."""
    output = likelihood(inputs)
    if inputs.weights.max() <= 0.5:
        return output
    return LossOutput(loss=output.loss + (inputs.logprobs - inputs.logprobs.detach()).abs().sum().sqrt())


# What is expected of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_two_ranks_with_uneven_images_train_as_plain_pytorch(
    ranks: Ranks, vision: Problem, stage: Any, checkpointing: bool
) -> None:
    """Several micro-batches, one of them empty, images on one rank at a time; clipping is active."""
    assert min(vision.reference.norms) > OPTIMIZER.max_grad_norm
    config = LearnerConfig(ranks=2, zero_stage=stage, activation_checkpointing=checkpointing)
    assert_as_by_the_book(ranks.run(train, config, vision.task, vision.steps, UNEVEN), vision.reference)


@pytest.mark.parametrize("stage", [0, 2, 3])
def test_experts_train_as_plain_pytorch(ranks: Ranks, experts: Problem, stage: Any) -> None:
    config = LearnerConfig(ranks=2, zero_stage=stage)
    assert_as_by_the_book(ranks.run(train, config, experts.task, experts.steps, UNEVEN), experts.reference)


@pytest.mark.parametrize("stage", [0, 2, 3])
def test_parts_have_their_own_rates(ranks: Ranks, vision: Problem, stage: Any) -> None:
    """Another rate for all, and the old one for each part, is the old one for all."""
    rates = PartRates(vision=1e-3, connector=1e-3, language=1e-3)
    task = replace(vision.task, optimizer=OPTIMIZER.model_copy(update={"learning_rate": 0.07, "rates": rates}))
    answers = ranks.run(train, LearnerConfig(ranks=2, zero_stage=stage), task, vision.steps, UNEVEN)
    assert_as_by_the_book(answers, vision.reference)


@pytest.mark.parametrize("stage", [2, 3])
def test_experts_are_balanced_over_the_ranks(ranks: Ranks, experts: Problem, stage: Any) -> None:
    """With balance as the greater part of the loss the load evens out; the loss that is told is the policy's own."""
    told = []
    for weight in (0.0, 10.0):
        task = replace(experts.task, optimizer=OPTIMIZER.model_copy(update={"load_balance": weight}))
        config = LearnerConfig(ranks=2, zero_stage=stage)
        answers = ranks.run(train, config, task, [experts.steps[0]] * 12, UNEVEN)
        told.append([[answer["updates"][step] for answer in answers] for step in (0, -1)])

    def sums(updates: Any, name: str) -> float:
        return sum(update.metrics[name] for update in updates)

    for (first, last), balanced in zip(told, (False, True), strict=True):
        assert sum(update.loss for update in first) == pytest.approx(experts.reference.losses[0], rel=1e-5)
        assert 2.0 <= sums(first, "router_balance_loss") < 4.0  # of four experts a token goes through two
        assert 0 < sums(first, "router_entropy") <= 1
        if balanced:
            assert sums(last, "router_balance_loss") < sums(told[0][1], "router_balance_loss")
            assert sums(last, "router_entropy") > sums(first, "router_entropy")


@pytest.mark.parametrize("plan", [[[list(range(12))]], [[[index] for index in range(12)]]], ids=["one", "twelve"])
def test_packed_and_unpacked_train_as_plain_pytorch(alone: Ranks, vision: Problem, plan: Plan) -> None:
    config = LearnerConfig()
    assert_as_by_the_book(alone.run(train, config, vision.task, vision.steps, plan), vision.reference)


@pytest.mark.parametrize("stage", [0, 3])
def test_bfloat16_follows_float32(ranks: Ranks, vision: Problem, stage: Any) -> None:
    config = LearnerConfig(ranks=2, zero_stage=stage, dtype="bfloat16")
    answers = ranks.run(train, config, vision.task, vision.steps, EVEN)
    losses = [sum(updates) for updates in zip(*([u.loss for u in a["updates"]] for a in answers), strict=True)]
    assert losses == pytest.approx(vision.reference.losses, rel=1e-2)
    assert answers[0]["updates"][0].grad_norm == pytest.approx(vision.reference.norms[0], rel=5e-2)


@pytest.mark.parametrize(("stage", "dtype"), [(0, "float32"), (1, "float32"), (2, "bfloat16"), (3, "float32")])
def test_a_resumed_run_has_the_same_bits(ranks: Ranks, vision: Problem, tmp_path: Path, stage: Any, dtype: Any) -> None:
    config = LearnerConfig(ranks=2, zero_stage=stage, dtype=dtype)
    for answer in ranks.run(resume, config, vision.task, vision.steps, UNEVEN, tmp_path / "c"):
        assert answer["resumed"] == answer["uninterrupted"]


def test_a_checkpoint_of_two_ranks_goes_on_alone(ranks: Ranks, alone: Ranks, vision: Problem, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    ranks.run(resume, LearnerConfig(ranks=2, zero_stage=3), vision.task, vision.steps, UNEVEN, folder)
    (weights,) = alone.run(go_on, LearnerConfig(), vision.task, vision.steps, [[list(range(12))]], folder)
    for name, expected in vision.reference.weights.items():
        torch.testing.assert_close(weights[name], expected, atol=2e-5, rtol=0, msg=name)


@pytest.mark.parametrize("stage", [0, 3])
def test_forward_passes_without_a_step(ranks: Ranks, vision: Problem, stage: Any) -> None:
    config = LearnerConfig(ranks=2, zero_stage=stage)
    answers = ranks.run(look, config, vision.task, vision.steps, UNEVEN)
    for rank, answer in enumerate(answers):
        before, after, frozen = (np.concatenate(list(chain(*answer[key]))) for key in ("before", "after", "frozen"))
        assert np.array_equal(before, frozen)
        assert not np.allclose(before, after)
        lengths = [len(vision.steps[0][index].token_ids) for pack in UNEVEN[rank] for index in pack]
        assert [len(one) for pack in answer["before"] for one in pack] == lengths
        assert all(one[0] == 0 and (one[1:] < 0).all() for pack in answer["before"] for one in pack)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (not_a_number, "rank 1: the loss is nan"),
        (broken, "rank 1: the loss function failed: KeyError"),
        (exploding, "the gradient of .* tensors is not finite"),
    ],
)
def test_what_is_wrong_on_one_rank_stops_all_before_weights_change(
    ranks: Ranks, vision: Problem, stage: Any, loss: Any, message: str
) -> None:
    spoilt = [*vision.steps[0]]
    one = spoilt[3]
    spoilt[3] = TrainSequence(token_ids=one.token_ids, loss_mask=one.loss_mask, weights=one.weights * 1000)
    config = LearnerConfig(ranks=2, zero_stage=stage)
    for answer in ranks.run(fail, config, vision.task, [spoilt], UNEVEN, loss):
        assert answer["unchanged"]
        with pytest.raises(LearnerError, match=message):
            raise LearnerError(answer["message"])
