"""The greedy soup: models are added, the best first, as long as a live engine finds their mean no worse."""

from __future__ import annotations

import asyncio
import math
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from configs.benchmark import LoadedBenchmark
from halyard.errors import HalyardError
from halyard.evals.evaluation import Evaluation
from halyard.pipeline.evaluation import measuring
from halyard.pipeline.quiet import quiet
from halyard.pipeline.screen import Screen
from halyard.runs.atomic import clear_errors
from model.soup import Merge, Soup


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Held-out accuracy: the mean of pass@1 over the modes of a benchmark, and half its 95 % interval."""

    accuracy: float
    margin: float

    @classmethod
    def of(cls, evaluation: Evaluation) -> Score:
        """The score of an evaluation on one benchmark."""
        cells = [cell for cell in evaluation.cells if cell.family is None]
        halves = [(cell.high - cell.low) / 2 for cell in cells]
        return cls(accuracy=fmean(cell.pass_at_1 for cell in cells), margin=math.hypot(*halves) / len(cells))

    def __str__(self) -> str:
        """The accuracy in percent, with its margin."""
        return f"{self.accuracy:.1%} ± {self.margin:.1%}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A model's turn: how it does `alone`, and `together` with those kept before it.

    `model` is its position in the list given; `best` the accuracy that the mean had before.
    """

    model: int
    alone: Score
    together: Score
    best: float
    kept: bool

    @property
    def why(self) -> str:
        """Why the model was kept or left out."""
        if self.together is self.alone:
            return "the best alone"
        change = 100 * (self.together.accuracy - self.best)
        return (
            f"the mean gets worse by {-change:.1f} points" if not self.kept else f"the mean gains {change:.1f} points"
        )


async def take_turns(alone: Sequence[Score], together: Callable[[tuple[int, ...]], Awaitable[Score]]) -> list[Turn]:
    """Every model's turn, the best alone first; of models that are equal, the one that was named first.

    `together` measures the mean of the models at some positions.

    Source: model soups, arXiv 2203.05482, recipe 1.
    """
    first, *others = sorted(range(len(alone)), key=lambda model: -alone[model].accuracy)
    best, kept = alone[first].accuracy, [first]
    turns = [Turn(model=first, alone=alone[first], together=alone[first], best=best, kept=True)]
    for model in others:
        score = await together((*kept, model))
        turn = Turn(model=model, alone=alone[model], together=score, best=best, kept=score.accuracy >= best)
        turns.append(turn)
        if turn.kept:
            best = score.accuracy
            kept.append(model)
    return turns


def choose(pot: Soup, loaded: LoadedBenchmark, out: Path) -> list[Turn]:
    """Every model's turn on a benchmark; the means that are tried lie beside `out` meanwhile.

    Raises:
        DataError: the benchmark's data is wrong.
        HalyardError: the engine could not be started, or died too often; the logs stay.
    """
    with _scratch(out) as scratch, quiet(scratch / "logs" / "driver.log") as terminal:
        return asyncio.run(_choose(pot, loaded, scratch, Screen(terminal)))


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """A hidden folder beside another, that is gone afterwards; of a failure, which may name a log, the logs stay."""
    with clear_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent)).resolve()
    gone = [scratch]
    try:
        yield scratch
    except HalyardError:
        gone = [folder for folder in scratch.iterdir() if folder.name != "logs"]
        raise
    finally:
        for folder in gone:
            shutil.rmtree(folder)


async def _choose(pot: Soup, loaded: LoadedBenchmark, scratch: Path, screen: Screen) -> list[Turn]:
    def progress(done: int, total: int) -> None:
        screen.progress(done, total, {})

    async with measuring(loaded, logs=scratch / "logs", progress=progress) as measure:

        async def score(title: str, folder: Path) -> Score:
            with screen.stage(title):
                found = Score.of(await measure(folder))
            screen.done(title, str(found))
            return found

        async def together(models: tuple[int, ...]) -> Score:
            folder = scratch / "-".join(str(model + 1) for model in models)
            folder.mkdir()
            pot.only(models).write(folder, even(len(models)), version=folder.name)
            found = await score(f"mean of {' and '.join(str(model + 1) for model in models)}", folder)
            shutil.rmtree(folder)
            return found

        folders = [model.folder for model in pot.models]
        alone = [await score(f"{index} {folder.name}", folder) for index, folder in enumerate(folders, start=1)]
        return await take_turns(alone, together)


def even(models: int) -> Merge:
    """The mean of so many models."""
    return Merge(method="greedy", weights=(1 / models,) * models)


def lineage(turns: Sequence[Turn], pot: Soup, loaded: LoadedBenchmark) -> dict[str, Any]:
    """What a manifest tells of the choice: the benchmark, and each model's turn in order."""
    tried = [
        {
            **pot.parent(turn.model),
            "accuracy": turn.alone.accuracy,
            "together": turn.together.accuracy,
            "kept": turn.kept,
            "why": turn.why,
        }
        for turn in turns
    ]
    return {"benchmark": loaded.told(), "tried": tried}
