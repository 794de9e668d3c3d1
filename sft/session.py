"""The live parts that an SFT stage works with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from halyard.cluster.learner import Learner
    from halyard.data.mixture import Mixture
    from halyard.data.types import Row
    from halyard.runs.stage import StageFolder
    from model.render import Renderer


class Progress(Protocol):
    """Told after each step; shows it to a person."""

    def __call__(self, step: int, total: int, figures: Mapping[str, float]) -> None:
        """`step` of `total` is done, with these figures."""
        ...


class Events(Protocol):
    """Told of every change of state worth a line in the run's log."""

    def __call__(self, kind: str, **fields: Any) -> None:
        """Record an event."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SftSession:
    """What `sft.loop.train` is given, beside the stage's recipe.

    The learner holds the policy that the stage starts from, and was set up for `steps` optimiser steps.
    `window` is the longest conversation that can be trained on, in tokens. When `stop` is set the step is
    finished, a checkpoint written and Interrupted raised.
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
