"""What follows from a recipe's batch sizes and a model's size: sequences, tokens, optimiser steps, memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

from configs.cluster import ClusterConfig
from configs.recipe import Recipe
from configs.stages import RlStage, SftStage
from halyard.errors import SnapshotError

GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a training stage amounts to; tokens are at most so many a step, prompts and responses together."""

    sequences_per_step: int
    tokens_per_step: int
    optimizer_steps: int

    def __str__(self) -> str:
        steps = f"{self.optimizer_steps:,} optimiser steps"
        return f"{self.sequences_per_step} sequences a step (at most {self.tokens_per_step:,} tokens), {steps}"


def load_of(stage: SftStage | RlStage, cluster: ClusterConfig) -> Load:
    """The arithmetic of a training stage's batch sizes."""
    if isinstance(stage, SftStage):
        sequences, updates = stage.sequences_per_step, 1
        longest = cluster.learner.tokens_per_pack
    else:
        sequences, updates = stage.prompts_per_step * stage.group_size, stage.algorithm.updates_per_step
        longest = cluster.engine.max_model_len
    return Load(
        sequences_per_step=sequences,
        tokens_per_step=sequences * longest,
        optimizer_steps=stage.steps * updates,
    )


def parameters(path: Path) -> int:
    """Parameters of a model folder, counted from the heads of its safetensors files.

    Raises:
        SnapshotError: there are no weights.
    """
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise SnapshotError(f"{path} holds no weights: expected files *.safetensors beside config.json")
    total = 0
    for file in files:
        with safe_open(file, framework="numpy") as weights:
            total += sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return total


def memory(recipe: Recipe, count: int) -> tuple[float, float]:
    """GiB that each learner rank and each engine needs for a policy of `count` parameters.

    A rank: weights and gradients in their precision, two moments and (below float32) a master copy in
    float32, split as ZeRO's stage says; activations come on top. An engine: weights and key-value cache, on each
    of its GPUs, or together on a CPU.
    """
    learner, engine = recipe.cluster.learner, recipe.cluster.engine
    width = 4 if learner.dtype == "float32" else 2
    split = [1 if learner.zero_stage >= stage else 0 for stage in (3, 2, 1)]
    weights, gradients, optimizer = width, width, 8 + (0 if width == 4 else 4)
    each = sum(
        size / (learner.ranks if shared else 1)
        for size, shared in zip((weights, gradients, optimizer), split, strict=True)
    )
    engine_width = 4 if engine.dtype == "float32" else 2
    spread = engine.tensor_parallel if engine.gpus else 1
    return count * each / GIB, count * engine_width / spread / GIB + engine.kv_cache_gib


def human(count: float) -> str:
    """A count in words of at most four letters: 1.3 M."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.1f} {letter}"
    return f"{count:.0f}"
