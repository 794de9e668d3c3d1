"""What goes between the driver and the learner's ranks; importing it loads neither torch nor DeepSpeed."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from configs.cluster import LearnerConfig
from configs.training import OptimizerConfig
from halyard.cluster.types import TrainSequence

Packs = Sequence[Sequence[TrainSequence]]
"""The sequences of each micro-batch of a rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankSpec:
    """What a rank's actor is started with; `patience` is how long, in seconds, it waits for other ranks."""

    name: str
    rank: int
    ranks: int
    log: Path
    learner: LearnerConfig
    patience: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to train: the policy in a folder, with a fresh optimiser, over `steps` optimiser steps."""

    path: Path
    optimizer: OptimizerConfig
    steps: int
    seed: int


@dataclass(slots=True, kw_only=True)
class RankUpdate:
    """One rank's part of an update: `loss` and `metrics` are sums over its micro-batches."""

    loss: float = 0.0
    grad_norm: float = 0.0
    learning_rate: float = 0.0
    metrics: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a phase."""
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start
