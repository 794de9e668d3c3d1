"""A small RL stage over the fakes: its recipe, its session, and what is left on disk afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from support.rl_fakes import FakeEngine, FakeLearner, FakeRenderer, FakeScorer, World

from configs.cluster import Deadlines
from configs.recipe import Recipe
from configs.stages import RlStage, SftStage
from halyard.data.drawing import drawing
from halyard.data.mixture import Mixture
from halyard.data.sources import Dataset
from halyard.data.types import ImageRef, Message, Row
from halyard.runs.control import Control
from halyard.runs.folder import RunFolder
from halyard.runs.stage import StageFolder
from rl.session import RlSession

DATA = {"sources": [{"type": "synthetic"}]}


def rows(count: int = 40) -> tuple[Row, ...]:
    """Questions, every third with an image of its own brightness."""

    def images(index: int) -> tuple[ImageRef, ...]:
        box = {"box": [0, 0, 8, 16 * (index % 5) / 5 + 1], "colour": "black"}
        return (ImageRef(drawing=drawing([box], width=16, height=16)),) if index % 3 == 0 else ()

    return tuple(
        Row(
            id=f"q{index}",
            messages=(Message(role="user", text=f"what is {index}?", images=images(index)),),
            answer=str(index),
        )
        for index in range(count)
    )


def stage(**fields: Any) -> RlStage:
    defaults = {
        "name": "rl",
        "type": "rl",
        "data": DATA,
        "steps": 4,
        "prompts_per_step": 3,
        "group_size": 4,
        "sampling": {"max_tokens": 4},
        "checkpoint": {"every": 2},
        "algorithm": {"preset": "dapo", "overlong": "keep"},
    }
    return RlStage.model_validate(defaults | fields)


def session(folder: Path, world: World, **parts: Any) -> RlSession:
    """A session over fakes; `events` collects what the run tells."""
    events: list[dict[str, Any]] = parts.pop("events", [])
    defaults = {
        "engine": FakeEngine(world),
        "learner": FakeLearner(world),
        "renderer": FakeRenderer(),
        "scorer": FakeScorer(world),
        "prompts": Mixture(Dataset(sources=(rows(),), weights=(1.0,)), seed=5),
        "folder": StageFolder(folder),
        "restart_engine": world.point,
        "window": 200,
        "precision": "float32",
        "deadlines": Deadlines(),
        "progress": lambda step, total, figures: None,
        "event": lambda kind, **fields: events.append({"kind": kind, **fields}),
        "stop": asyncio.Event(),
        "control": control(folder),
        "seed": 3,
    }
    return RlSession(**(defaults | parts))


def control(folder: Path, *stages: RlStage | SftStage) -> Control:
    """The driver's side of control over a run in that folder."""
    recipe = Recipe.model_validate({"name": "tiny", "model": {"build": "nano"}, "stages": stages or (stage(),)})
    return Control(RunFolder(folder), recipe, stop=lambda: None)


def without_times(line: dict[str, Any]) -> dict[str, Any]:
    """A line of metrics.jsonl but for what the clock says."""
    return {name: value for name, value in line.items() if name not in ("seconds", "tokens_per_second")}
