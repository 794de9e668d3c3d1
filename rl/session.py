"""The live parts that an RL stage works with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from configs.stages import EvaluateConfig

if TYPE_CHECKING:
    from configs.cluster import Deadlines
    from halyard.cluster.engine import Engine
    from halyard.cluster.learner import Learner
    from halyard.data.mixture import Mixture
    from halyard.data.types import Row
    from halyard.runs.control import Control
    from halyard.runs.listeners import Events, Progress
    from halyard.runs.stage import StageFolder
    from model.render import Renderer
    from rewards.scorer import Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class RlSession:
    """What `rl.loop.train` is given, beside the stage's recipe.

    The learner holds the policy that the stage starts from, and was set up for
    `steps · updates_per_step` optimiser steps; `precision` is that of its weights. `restart_engine` starts
    a dead engine again behind the same `engine`, or raises EngineError when it has died too often. `window`
    is the longest prompt and response together, in tokens. `held_out` are the rows of the benchmarks by name,
    which are measured now and then. When `stop` is set the step is finished, a checkpoint written and
    Interrupted raised; `control` has whatever else people ask for.
    """

    engine: Engine
    learner: Learner
    renderer: Renderer
    scorer: Scorer
    prompts: Mixture
    folder: StageFolder
    restart_engine: Callable[[], Awaitable[None]]
    window: int
    precision: Literal["float32", "bfloat16"]
    deadlines: Deadlines
    progress: Progress
    event: Events
    stop: asyncio.Event
    control: Control
    seed: int
    benchmarks: EvaluateConfig = field(default_factory=EvaluateConfig)
    held_out: Mapping[str, Sequence[Row]] = field(default_factory=dict)
