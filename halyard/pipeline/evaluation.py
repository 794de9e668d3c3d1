"""Measuring the newest policy on the recipe's benchmarks."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from configs.rewards import RewardsConfig
from halyard.evals.evaluate import evaluate
from halyard.evals.evaluation import Evaluation
from halyard.pipeline.lasting import LastingEngine
from rewards.scorer import Scorer

if TYPE_CHECKING:
    from halyard.data.types import Row
    from halyard.pipeline.walk import Walk


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
    engine = await LastingEngine.start(walk.cluster, walk.models["policy"], walk.event(stage))
    scorer = await Scorer.start(RewardsConfig(), root=walk.loaded.root)
    try:
        graded = await evaluate(
            engine,
            walk.renderer(),
            walk.recipe.evaluate,
            data=walk.benchmarks,
            seed=walk.seed("evaluate"),
            grade=scorer.grade,
            progress=lambda done, total: walk.screen.progress(done, total, {}),
        )
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        await scorer.close()
    walk.folder(stage).write_evaluation([asdict(one) for one in graded])
    return Evaluation.of(graded)
