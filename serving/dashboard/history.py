"""The metrics of stages as they grow: read from where the last look ended, and thinned for curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from halyard.runs.reading.runs import metrics

Line = Mapping[str, Any]
MOST_POINTS = 300


@dataclass(slots=True)
class _Read:
    lines: list[Line] = field(default_factory=list)
    next: int = 0
    edition: int | None = None


class History:
    """The lines of metrics that one page has read, by stage."""

    def __init__(self) -> None:
        self._read: dict[tuple[Path, str], _Read] = {}

    def lines(self, run: Path, stage: str) -> Sequence[Line]:
        """Every line of a stage until now. A file that was cut by a resume is read from its start again."""
        known = self._read.setdefault((run, stage), _Read())
        found = metrics(run, stage, known.next)
        if known.edition not in (None, found.edition) or found.next < known.next:
            known.lines, found = [], metrics(run, stage)
        known.lines = [*known.lines, *found.lines] if found.lines else known.lines
        known.next, known.edition = found.next, found.edition
        return known.lines


def value(line: Line, key: str) -> float | None:
    """A number in a line by its dotted key, such as `seconds.step`; None where there is none."""
    found: Any = line
    for name in key.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def series(lines: Sequence[Line], key: str) -> list[tuple[float, float]]:
    """Step and value wherever there is a value; many points are averaged over even windows."""
    points = [(float(line["step"]), found) for line in lines if (found := value(line, key)) is not None]
    width = -(-len(points) // MOST_POINTS) or 1
    windows = [points[start : start + width] for start in range(0, len(points), width)]
    return [(window[-1][0], fmean(y for _, y in window)) for window in windows]


def smooth(points: Sequence[tuple[float, float]], weight: float) -> list[tuple[float, float]]:
    """An exponential mean that starts unbiased: each value takes `1 - weight` of it."""
    smoothed, total, mass = [], 0.0, 0.0
    for x, y in points:
        total, mass = weight * total + (1 - weight) * y, weight * mass + (1 - weight)
        smoothed.append((x, total / mass))
    return smoothed


def keys_under(lines: Sequence[Line], key: str) -> list[str]:
    """Names below a key in any of the last lines, in their order: the reward's components, the phases of a step."""
    names: dict[str, None] = {}
    for line in lines[-50:]:
        found = line.get(key)
        if isinstance(found, Mapping):
            names |= dict.fromkeys(found)
    return list(names)
