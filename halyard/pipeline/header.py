"""What is told before a run starts: what, where, with which models, and what follows from the batch sizes."""

from __future__ import annotations

import os
from pathlib import Path

from configs.cluster import ClusterConfig
from configs.recipe import Recipe
from configs.stages import FilterStage, HarvestStage, RlStage, SftStage, Stage
from halyard.pipeline.estimates import human, load_of, memory, parameters
from halyard.runs.folder import RunFolder


def facts(recipe: Recipe, run: RunFolder, model: Path) -> dict[str, str]:
    """The facts of a run's header, by name."""
    count = parameters(model)
    rank, engine = memory(recipe, count)
    learner = recipe.cluster.learner
    lines = {
        "recipe": recipe.description or recipe.name,
        "run": str(run.path),
        "policy": f"{human(count)} parameters, from {_origin(recipe)}",
        "machine": _machine(recipe.cluster),
        "memory": f"{learner.ranks} × {rank:.2f} GiB for the learner (activations come on top), "
        f"{recipe.cluster.engine.count} × {engine:.2f} GiB for the engine",
    }
    if recipe.minutes is not None:
        lines["time"] = f"about {recipe.minutes:g} minutes on the machine that the recipe was written for"
    return lines | {stage.name: describe(stage, recipe.cluster) for stage in recipe.stages}


def describe(stage: Stage, cluster: ClusterConfig) -> str:
    """What a stage will do, in a line."""
    if isinstance(stage, SftStage):
        of = " of the judge" if stage.role == "judge" else ""
        return f"supervised fine-tuning{of}: {load_of(stage, cluster)}"
    if isinstance(stage, RlStage):
        groups = f"{stage.prompts_per_step} prompts × {stage.group_size} samples"
        return f"{stage.algorithm.preset.upper()}: {groups} = {load_of(stage, cluster)}"
    if isinstance(stage, HarvestStage):
        share = f"{stage.thinking_share:.0%} of them from the rollouts of {stage.stage}"
        return f"rejection sampling: {stage.rows:,} rows, {share}"
    kept = "problems that are sometimes solved" if isinstance(stage, FilterStage) else "hard problems"
    return f"{stage.samples} samples a problem; keeps {kept}"


def _origin(recipe: Recipe) -> str:
    return recipe.model.path or f"random weights ({recipe.model.build}, seed {recipe.seed})"


def _machine(cluster: ClusterConfig) -> str:
    """What engines and learner ranks get, and of how much."""
    engine, learner = cluster.engine, cluster.learner
    beside = "beside" if cluster.placement == "side_by_side" else "taking turns with"
    parts = f"{_each(engine.count, 'engine', engine.cpus, engine.gpus)} {beside} "
    parts += _each(learner.ranks, "learner rank", learner.cpus, learner.gpus)
    where = f"Ray cluster {cluster.address}" if cluster.address else f"{len(os.sched_getaffinity(0))} cores here"
    return f"{parts}; {where}"


def _each(count: int, noun: str, cpus: float, gpus: float) -> str:
    amount, unit = (gpus, "GPU") if gpus else (cpus, "core")
    has = f"{amount:g} {unit}{'s' if amount != 1 else ''}{' each' if count > 1 else ''}"
    return f"{count} {noun}{'s' if count > 1 else ''} ({has})"
