"""Who is told how a stage goes: a person by its progress, the run's log by its events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


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
