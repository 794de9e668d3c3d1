"""Training on learner ranks, and what is expected of it: what plain PyTorch makes of the same sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from support.training import Reference, likelihood, sequences, train_by_the_book

from configs.cluster import LearnerConfig
from configs.training import OptimizerConfig
from halyard.cluster.rank_types import Task
from halyard.cluster.types import TrainSequence

OPTIMIZER = OptimizerConfig(learning_rate=1e-3, weight_decay=0.1, max_grad_norm=0.5, eps=1e-6, load_balance=0.0)
TEMPERATURE = 0.8

Plan = list[list[list[int]]]
"""Sequences by rank and pack. Of each four sequences the first two have images."""


@dataclass
class Problem:
    """A policy, three steps' sequences, and what plain PyTorch makes of them."""

    path: Path
    steps: list[list[TrainSequence]]
    reference: Reference

    @property
    def task(self) -> Task:
        return Task(path=self.path, optimizer=OPTIMIZER, steps=10, seed=3)


def problem(path: Path, *, images: Sequence[bool]) -> Problem:
    steps = [sequences(path, 12, images=images, seed=seed) for seed in range(3)]
    return Problem(path, steps, train_by_the_book(path, steps, OPTIMIZER, temperature=TEMPERATURE))


def own_packs(rank: int, step: Sequence[TrainSequence], plan: Plan) -> list[list[TrainSequence]]:
    return [[step[index] for index in pack] for pack in plan[rank]]


def train(rank: int, config: LearnerConfig, task: Task, steps: Any, plan: Plan) -> dict[str, Any]:
    from halyard.cluster.trainer import Trainer

    trainer = Trainer(config, task)
    updates, first_norms = [], {}
    for step in steps:
        updates.append(trainer.update(own_packs(rank, step, plan), likelihood, TEMPERATURE))
        first_norms = first_norms or dict(trainer.gradient_report())
    weights = {name: tensor.float().clone() for name, tensor in trainer.stream()}
    return {"updates": updates, "first_norms": first_norms, "weights": weights}


def assert_as_by_the_book(answers: list[dict[str, Any]], reference: Reference, *, rtol: float = 2e-4) -> None:
    losses = [sum(updates) for updates in zip(*([u.loss for u in a["updates"]] for a in answers), strict=True)]
    assert losses == pytest.approx(reference.losses, rel=1e-5)
    for answer in answers:
        assert [update.grad_norm for update in answer["updates"]] == pytest.approx(reference.norms, rel=rtol)
        assert answer["first_norms"] == pytest.approx(reference.first_norms, rel=rtol, abs=1e-6)
        for name, expected in reference.weights.items():
            torch.testing.assert_close(answer["weights"][name], expected, atol=2e-5, rtol=0, msg=name)
