"""The stages that train: their live parts are put together, the trainer runs, a snapshot is left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rl.loop
import sft.loop
from configs.judge import JudgeTerm
from configs.rewards import all_terms
from configs.stages import RlStage, SftStage
from halyard.data.mixture import Mixture
from halyard.durable import sha256
from halyard.errors import LearnerLostError
from halyard.pipeline.judge_endpoint import serve_openai
from halyard.pipeline.walk import starting_model
from halyard.runs.atomic import new_folder
from halyard.runs.folder import fingerprint
from halyard.runs.reading.runs import changes
from model.lineage import digest
from model.load import load_processor
from model.snapshot import MANIFEST, verify, write_manifest
from rewards.judges.court import Court
from rewards.scorer import Scorer
from rl.session import RlSession
from sft.session import SftSession

if TYPE_CHECKING:
    from configs.recipe import Recipe
    from halyard.cluster.learner import Learner
    from halyard.pipeline.walk import Walk
    from halyard.runs.stage import StageFolder


async def train(stage: SftStage | RlStage, folder: StageFolder, walk: Walk) -> Path:
    """The verified snapshot that a training stage leaves; what is on disk of an earlier try is gone on with.

    Raises:
        Interrupted: the user asked to stop.
        HalyardError: the stage failed; its newest checkpoint is on disk.
    """
    target = walk.run.snapshots / folder.path.name
    role = _role(stage)
    if not target.exists():
        start = walk.models.get(role)
        if isinstance(stage, SftStage) and stage.model is not None:
            start = starting_model(stage.model, walk.loaded, walk.run, stage.name)
        assert start is not None, f"a recipe whose {role} starts from nothing was let through"
        lineage = _lineage(stage, start, walk)
        learner = await _trained(stage, start, folder, walk)
        parent = start.name if start.parent == walk.run.snapshots else None
        with new_folder(target) as temporary:
            await learner.save_snapshot(temporary)
            lineage["metrics"] = folder.metrics()[-1]
            lineage["changes"] = [one for one in changes(walk.run.path) if one["stage"] == stage.name]
            write_manifest(temporary, version=target.name, parent=parent, lineage=lineage)
        walk.run.event("snapshot", stage=stage.name, version=target.name)
        if not _trained_later(role, stage, walk.recipe):
            await walk.cluster.release_learner(role)
    verify(target)
    walk.models[role] = target
    return target


async def _trained(stage: SftStage | RlStage, start: Path, folder: StageFolder, walk: Walk) -> Learner:
    """The learner that has done the stage. One that is lost is replaced, and the stage resumed as by a new process."""
    while True:
        try:
            if isinstance(stage, SftStage):
                return await _sft(stage, start, folder, walk)
            return await _rl(stage, start, folder, walk)
        except LearnerLostError as error:
            await walk.cluster.give_up_learner(_role(stage), error)
            walk.event(stage.name)("learner_restart", reason=str(error))


def _trained_later(role: str, stage: SftStage | RlStage, recipe: Recipe) -> bool:
    """Whether a stage after this one trains the same role."""
    later = recipe.stages[recipe.stages.index(stage) + 1 :]
    return any(_role(one) == role for one in later if isinstance(one, SftStage | RlStage))


def _role(stage: SftStage | RlStage) -> str:
    return stage.role if isinstance(stage, SftStage) else "policy"


async def _sft(stage: SftStage, start: Path, folder: StageFolder, walk: Walk) -> Learner:
    renderer = load_processor(start)
    dataset = await walk.rows(stage.data, "assistant", renderer)
    validation = (await walk.rows(stage.validation, "assistant", renderer)).rows if stage.validation else ()
    seed = walk.seed(stage.name)
    learner = await walk.cluster.learner(start, stage.optimizer, steps=stage.steps, role=stage.role, seed=seed)
    session = SftSession(
        learner=learner,
        renderer=renderer,
        rows=Mixture(dataset, seed=seed),
        validation=validation,
        folder=folder,
        window=walk.recipe.cluster.learner.tokens_per_pack,
        progress=walk.screen.progress,
        event=walk.event(stage.name),
        stop=walk.interrupts.stop,
        control=walk.control,
    )
    with walk.interrupts.in_steps():
        await sft.loop.train(stage, session)
    return learner


async def _rl(stage: RlStage, start: Path, folder: StageFolder, walk: Walk) -> Learner:
    renderer = load_processor(start)
    dataset = await walk.rows(stage.data, "answer", renderer)
    seed, cluster = walk.seed(stage.name), walk.recipe.cluster
    updates = stage.steps * stage.algorithm.updates_per_step
    learner = await walk.cluster.learner(start, stage.optimizer, steps=updates, seed=seed)
    engine = await walk.cluster.engine("policy", start)
    async with scorer(stage, walk) as judging:
        session = RlSession(
            engine=engine,
            learner=learner,
            renderer=renderer,
            scorer=judging,
            prompts=Mixture(dataset, seed=seed),
            folder=folder,
            restart_engine=partial(walk.cluster.restart_engine, "policy"),
            window=cluster.engine.max_model_len,
            precision=cluster.learner.dtype,
            deadlines=cluster.deadlines,
            progress=walk.screen.progress,
            event=walk.event(stage.name),
            stop=walk.interrupts.stop,
            control=walk.control,
            seed=seed,
            benchmarks=walk.recipe.evaluate,
            held_out=walk.benchmarks,
        )
        with walk.interrupts.in_steps():
            await rl.loop.train(stage, session)
    return learner


@asynccontextmanager
async def scorer(stage: RlStage, walk: Walk) -> AsyncIterator[Scorer]:
    """What judges a stage's answers. The pipeline's own judge is served by an engine of the cluster meanwhile."""
    async with AsyncExitStack() as stack:
        terms = [one for _, one in all_terms(stage.rewards.terms)]
        term = next((one for one in terms if isinstance(one, JudgeTerm) and one.url is None), None)
        url, version = None, ""
        if term is not None:
            trained = walk.models["judge"]
            engine = await walk.cluster.engine("judge", trained)
            stack.push_async_callback(walk.cluster.release_engine, "judge")
            url = await stack.enter_async_context(serve_openai(engine, walk.renderer("judge"), model_name=term.model))
            version = sha256(trained / MANIFEST)[:16]
        court = Court(
            url=url,
            version=version,
            folder=walk.run.path / "judges",
            root=walk.loaded.root,
            event=walk.event(stage.name),
        )
        window = stage.prompts_per_step * stage.group_size
        judging = await Scorer.start(stage.rewards, judge=court, root=walk.loaded.root, window=window)
        stack.push_async_callback(judging.close)
        yield judging


def _lineage(stage: SftStage | RlStage, start: Path, walk: Walk) -> dict[str, Any]:
    """Where a snapshot comes from: asked before the stage, while what it starts from is surely what it began as."""
    return {
        "run": walk.run.name,
        "stage": stage.name,
        "type": stage.type,
        "role": stage.role if isinstance(stage, SftStage) else "policy",
        "start": str(start),
        "start_manifest": digest(start),
        "recipe": fingerprint(walk.recipe),
    }
