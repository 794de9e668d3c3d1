"""Measuring policies on benchmarks: the newest of a run on its recipe's, or any model folder on one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.benchmark import LoadedBenchmark
from configs.cluster import ClusterConfig, LearnerConfig
from configs.rewards import RewardsConfig
from configs.stages import EvaluateConfig
from halyard.cluster.cluster import Cluster
from halyard.data.sources import load
from halyard.evals.evaluate import evaluate
from halyard.evals.evaluation import Evaluation, Graded
from halyard.pipeline.lasting import LastingEngine
from model.load import load_processor
from rewards.scorer import Scorer
from rl.prompts import draw

if TYPE_CHECKING:
    from halyard.data.types import Row
    from halyard.pipeline.walk import Walk
    from model.render import Renderer

Measure = Callable[[Path], Awaitable[Evaluation]]
"""What the policy in a model folder can do."""


async def held_out(walk: Walk) -> dict[str, list[Row]]:
    """The rows of every benchmark, by its name.

    Raises:
        DataError: a benchmark's data is wrong.
    """
    return {one.name: (await walk.rows(one.data, "answer")).rows for one in walk.recipe.evaluate.benchmarks}


async def measure(stage: str, walk: Walk) -> Evaluation:
    """What the newest policy, just left by `stage`, can do; every answer is in the stage's evaluation.jsonl.

    The draws are the same after every stage, so that differences are the policy's.
    """
    graded = await _graded(
        await LastingEngine.start(walk.cluster, walk.models["policy"], walk.event(stage)),
        walk.renderer(),
        walk.recipe.evaluate,
        data=walk.benchmarks,
        seed=walk.seed("evaluate"),
        root=walk.loaded.root,
        progress=lambda done, total: walk.screen.progress(done, total, {}),
    )
    walk.folder(stage).write_evaluation([asdict(one) for one in graded])
    return Evaluation.of(graded)


@asynccontextmanager
async def measuring(
    loaded: LoadedBenchmark, *, logs: Path, progress: Callable[[int, int], None] | None = None
) -> AsyncIterator[Measure]:
    """A measure of model folders on one benchmark, over one live engine and with the draws of its recipe's runs.

    Raises:
        DataError: the benchmark's data is wrong.
        PlacementError: the machine has less than the engine needs.
    """
    config = EvaluateConfig(benchmarks=(loaded.benchmark,))
    rows = await asyncio.to_thread(
        load, loaded.benchmark.data, renderer=None, root=loaded.root, stage_rows=Path, need="answer"
    )

    async with await Cluster.start(_engines_alone(loaded.cluster), logs=logs) as cluster:

        async def measured(folder: Path) -> Evaluation:
            graded = await _graded(
                await LastingEngine.start(cluster, folder, _unheard),
                load_processor(folder),
                config,
                data={loaded.benchmark.name: rows.rows},
                seed=draw(loaded.seed, "evaluate"),
                root=loaded.root,
                progress=progress,
            )
            return Evaluation.of(graded)

        yield measured


async def _graded(
    engine: LastingEngine,
    renderer: Renderer,
    config: EvaluateConfig,
    *,
    data: Mapping[str, Sequence[Row]],
    seed: int,
    root: Path,
    progress: Callable[[int, int], None] | None,
) -> list[Graded]:
    """Every answer of the engine, graded by rules."""
    scorer = await Scorer.start(RewardsConfig(), root=root)
    try:
        return await evaluate(engine, renderer, config, data=data, seed=seed, grade=scorer.grade, progress=progress)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        await scorer.close()


def _engines_alone(config: ClusterConfig) -> ClusterConfig:
    """The same engines, with the place of a learner that is never started inside of theirs."""
    engine = config.engine
    learner = LearnerConfig(ranks=engine.count, cpus=engine.cpus, gpus=min(engine.gpus, 1))
    return config.model_copy(update={"placement": "sharing", "learner": learner})


def _unheard(kind: str, **fields: Any) -> None:
    """Nothing; an engine that was started again is told of in its log."""
