"""The live parts that an SFT stage works with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from halyard.cluster.learner import Learner
    from halyard.data.mixture import Mixture
    from halyard.data.types import Row
    from halyard.runs.control import Control
    from halyard.runs.listeners import Events, Progress
    from halyard.runs.stage import StageFolder
    from model.render import Renderer


@dataclass(frozen=True, slots=True, kw_only=True)
class SftSession:
    """What `sft.loop.train` is given, beside the stage's recipe.

    The learner holds the policy that the stage starts from, and was set up for `steps` optimiser steps.
    `window` is the longest conversation that can be trained on, in tokens. When `stop` is set the step is
    finished, a checkpoint written and Interrupted raised; `control` has whatever else people ask for.
    """

    learner: Learner
    renderer: Renderer
    rows: Mixture
    validation: Sequence[Row]
    folder: StageFolder
    window: int
    progress: Progress
    event: Events
    stop: asyncio.Event
    control: Control
