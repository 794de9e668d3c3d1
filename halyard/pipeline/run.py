"""A recipe from its first weights to its last evaluation: stage after stage over one cluster."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.load import LoadedRecipe
from configs.stages import RlStage, SftStage, Stage
from halyard.cluster.cluster import Cluster
from halyard.cluster.engine_options import check_spread
from halyard.cluster.waits import watch
from halyard.errors import HalyardError, Interrupted
from halyard.pipeline.curation import make_rows
from halyard.pipeline.evaluation import held_out, measure
from halyard.pipeline.header import facts
from halyard.pipeline.interrupts import Interrupts
from halyard.pipeline.quiet import quiet
from halyard.pipeline.report import Report, StageResult
from halyard.pipeline.screen import Screen
from halyard.pipeline.training import train
from halyard.pipeline.walk import Walk, starting_model
from halyard.runs.control import Control
from halyard.runs.folder import RunFolder
from halyard.runs.launch import started_by
from model.snapshot import verify

if TYPE_CHECKING:
    from halyard.runs.stage import StageFolder


def run_pipeline(loaded: LoadedRecipe, folder: Path, *, resume: bool = False) -> None:
    """Nothing; the run in `folder` is done: its snapshots, its report and its plot are there.

    Raises:
        ConfigError: the run cannot be started there, or gone on with by this recipe.
        Interrupted: the user asked to stop.
        HalyardError: a stage failed; `resume` goes on from its newest checkpoint.
    """
    if resume:
        run = RunFolder.open(folder)
        run.same_recipe(loaded.recipe)
    else:
        run = RunFolder.create(folder.parent, folder.name, loaded.recipe, loaded.root)
    with run.lock(), quiet(run.logs / "driver.log") as terminal:
        run.take_new_keys(loaded.recipe)
        screen = Screen(terminal)
        try:
            asyncio.run(_walk(loaded, run, screen))
        except Interrupted as stopped:
            run.event("interrupted", message=str(stopped))
            raise
        except HalyardError as error:
            run.event("failed", error=type(error).__name__, message=str(error))
            raise
        except Exception as error:
            logging.getLogger("halyard").exception("the run failed")
            run.event("failed", error=type(error).__name__, message=str(error))
            raise HalyardError(
                f"{type(error).__name__}: {error}. This is a fault in Halyard or in something it uses; "
                f"the traceback is in {run.logs / 'driver.log'}"
            ) from error


async def _walk(loaded: LoadedRecipe, run: RunFolder, screen: Screen) -> None:
    """All stages, in order, over one cluster; whatever happens, the cluster is closed."""
    recipe, began = loaded.recipe, time.monotonic()
    interrupts = Interrupts(screen.note)
    with interrupts.handled():
        start = starting_model(recipe.model, loaded, run, "policy")
        check_spread(start, recipe.cluster.engine)
        screen.header(f"halyard  {recipe.name}", facts(recipe, run, start))
        run.event("started", resumed=any(event["event"] == "started" for event in run.events()), who=started_by())
        report, models = Report(run.path, recipe), {"policy": start}
        todo = []
        for index, stage in enumerate(recipe.stages, start=1):
            folder, title = run.stage(index, stage.name), f"{index}/{len(recipe.stages)} {stage.name}"
            if not folder.done:
                todo.append((stage, folder, title))
                continue
            report.add(result := _done_before(folder, run, models))
            screen.done(title, f"{result}  (done before)")
        if todo:  # else there is nothing to start engines and learners for
            control = Control(run, recipe, interrupts.ask)
            async with (
                watch(run.path / "waits.json"),
                control.watch(),
                await Cluster.start(recipe.cluster, logs=run.logs) as cluster,
            ):
                interrupts.install()
                walk = Walk(
                    loaded=loaded,
                    run=run,
                    cluster=cluster,
                    screen=screen,
                    interrupts=interrupts,
                    control=control,
                    models=models,
                )
                walk.benchmarks = await held_out(walk)
                for stage, folder, title in todo:
                    report.add(await _stage(stage, title, folder, walk))
    run.event("finished")
    report.show(screen, models["policy"], seconds=time.monotonic() - began)


def _done_before(folder: StageFolder, run: RunFolder, models: dict[str, Path]) -> StageResult:
    """What came of a stage that is done; its snapshot is verified, and the newest of its role.

    Raises:
        SnapshotError: the snapshot is not what the stage left.
    """
    result = StageResult.from_json(folder.summary)
    if result.snapshot is not None:
        snapshot = run.snapshots / result.snapshot
        verify(snapshot)
        models[result.role] = snapshot
    return result


async def _stage(stage: Stage, title: str, folder: StageFolder, walk: Walk) -> StageResult:
    """What came of one stage."""
    walk.run.event("stage_started", stage=stage.name)
    result = await _work(stage, title, folder, walk)
    folder.finish(result.to_json())
    walk.run.event("stage_finished", stage=stage.name, seconds=result.seconds)
    walk.screen.done(title, str(result))
    return result


async def _work(stage: Stage, title: str, folder: StageFolder, walk: Walk) -> StageResult:
    """Do what a stage does, and measure what it left if it trained the policy."""
    began, before = time.monotonic(), _seconds(folder.metrics())
    if not isinstance(stage, SftStage | RlStage):
        with walk.screen.stage(title):
            rows = await make_rows(stage, folder, walk)
        return StageResult(name=stage.name, type=stage.type, seconds=time.monotonic() - began, rows=rows)
    with walk.screen.stage(title):
        snapshot = await train(stage, folder, walk)
    seconds = before + time.monotonic() - began
    role = stage.role if isinstance(stage, SftStage) else "policy"
    evaluation = None
    if role == "policy" and walk.benchmarks:
        with walk.screen.stage(f"{title}, evaluation"):
            evaluation = await measure(stage.name, walk)
    return StageResult(
        name=stage.name,
        type=stage.type,
        role=role,
        seconds=seconds,
        snapshot=snapshot.name,
        figures=_last(folder.metrics()),
        evaluation=evaluation,
    )


def _seconds(lines: Sequence[dict[str, Any]]) -> float:
    """Seconds of the steps of earlier tries, which a resume goes on from."""
    return sum(line["seconds"]["step"] for line in lines)


def _last(lines: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The figures of the last step that are numbers."""
    return {name: value for name, value in lines[-1].items() if isinstance(value, int | float)} if lines else {}
