"""What the stages of a run hand to each other: the live cluster, and the newest model of each role."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.load import LoadedRecipe
from configs.model import ModelConfig
from configs.recipe import Recipe
from halyard.data.sources import Dataset, load
from halyard.pipeline.interrupts import Interrupts
from halyard.pipeline.screen import Screen
from halyard.runs.atomic import new_folder
from halyard.runs.control import Control
from halyard.runs.folder import RunFolder
from halyard.runs.reading.health import WARNINGS
from halyard.runs.stage import StageFolder
from rl.prompts import draw

if TYPE_CHECKING:
    from configs.data import DataConfig
    from halyard.cluster.cluster import Cluster
    from halyard.data.checks import Need
    from halyard.data.types import Row
    from model.render import Renderer


@dataclass(kw_only=True)
class Walk:
    """A run on its way through the stages.

    `models` maps a role (policy, judge) to its newest folder. `benchmarks` are the held-out rows by name.
    """

    loaded: LoadedRecipe
    run: RunFolder
    cluster: Cluster
    screen: Screen
    interrupts: Interrupts
    control: Control
    models: dict[str, Path]
    benchmarks: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe:
        """The recipe that the run follows."""
        return self.loaded.recipe

    def folder(self, name: str) -> StageFolder:
        """The folder of a stage of the recipe."""
        index = next(i for i, stage in enumerate(self.recipe.stages, start=1) if stage.name == name)
        return self.run.stage(index, name)

    async def rows(self, data: DataConfig, need: Need, renderer: Renderer | None = None) -> Dataset:
        """The checked rows of a stage's data, read in a thread; what earlier stages kept is found by their names.

        Raises:
            DataError: a source is missing, or has rows that the recipe refuses.
        """
        return await asyncio.to_thread(
            load,
            data,
            renderer=renderer,
            root=self.loaded.root,
            stage_rows=lambda name: self.folder(name).path / "rows.jsonl",
            need=need,
        )

    def seed(self, *names: object) -> int:
        """A seed of its own for each purpose, from the recipe's."""
        return draw(self.recipe.seed, *names)

    def renderer(self, role: str = "policy") -> Renderer:
        """The processor of a role's newest model."""
        from model.load import load_processor

        return load_processor(self.models[role])

    def event(self, stage: str) -> Any:
        """A callable that records an event of a stage."""
        return partial(self._record, stage)

    def _record(self, stage: str, kind: str, **fields: Any) -> None:
        self.run.event(kind, stage=stage, **fields)
        if kind == "preflight":
            self.screen.checks(fields["checks"])
        elif kind == "resumed":
            self.screen.note(f"  going on after step {fields['step']}")
        elif kind == "coverage":
            self.screen.note(f"  prompts: {_counts(fields['states'])}")
        elif kind in WARNINGS:
            told = "  ".join(f"{name} {value}" for name, value in fields.items())
            self.screen.note(f"  {kind.replace('_', ' ')}: {told}", style="yellow")


def _counts(counts: Mapping[str, int]) -> str:
    """Names with their counts."""
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())


def starting_model(config: ModelConfig, loaded: LoadedRecipe, run: RunFolder, name: str) -> Path:
    """The folder that a role starts from: the user's own, or one made once in the run.

    Made are policies with random weights, and Halyard's own layout of a released SAIL-VL2: engines and snapshots
    need that.
    """
    from model.build import build
    from model.convert import convert
    from model.released import is_released

    if config.path is not None:
        given = loaded.resolve(config.path)
        if not is_released(given):
            return given
        make = partial(convert, given)
    else:
        assert config.build is not None, "a model config has a path or a size"
        make = partial(build, config.build, seed=draw(loaded.recipe.seed, "build", name))
    target = run.path / "models" / name
    if not target.is_dir():
        with new_folder(target) as temporary:
            make(temporary)
    return target
