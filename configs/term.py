"""What all terms of a reward have in common."""

from __future__ import annotations

from configs.base import Config, Name, NonNegative
from halyard.tasks import Task


class BaseTerm(Config):
    """A part of a reward, with its weight where parts are added up."""

    weight: NonNegative = 1.0
    """Weight of this term in the sum; 0 only records it."""
    tasks: tuple[Task, ...] = ()
    """Tasks that this term judges; none named means all."""
    label: Name | None = None
    """What its component is called in figures and records; none takes the name of what judges."""
