"""What all terms of a reward have in common."""

from __future__ import annotations

from typing import Annotated

from configs.base import LIVE, Config, Flag, Name, NonNegative
from halyard.tasks import Task


class BaseTerm(Config):
    """A part of a reward; terms that are made of terms may have any others in them. These keys all terms have."""

    weight: Annotated[NonNegative, LIVE] = 1.0
    """Weight in the sum it is a term of; 0 only records it. Elsewhere than in a sum it is 1 or 0."""
    tasks: tuple[Task, ...] = ()
    """Tasks that this term judges; none named means all. Where it does not judge it changes nothing."""
    label: Name | None = None
    """What its component is called in figures and records; none takes the name of what judges."""
    zero_if_failed: Flag = False
    """Score 0 where this term cannot judge, instead of failing the whole verdict."""

    @property
    def component(self) -> str:
        """What the term's component is called unless it has a label."""
        return getattr(self, "type", "term")
