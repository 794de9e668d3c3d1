"""What a trial at the desk showed: headline figures and tables, for the terminal or as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["good", "bad", "warn", "plain"]
Cell = str | float | int | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One headline number, written out, with what it counts and perhaps a remark."""

    name: str
    value: str
    remark: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Row:
    """Cells of one line of a table."""

    cells: tuple[Cell, ...]
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a title. `long` names the columns whose texts may be long: cut on a terminal, whole in HTML."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Row]
    long: frozenset[str] = frozenset()
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Lines over a common axis, for HTML: `series` by name, each one value a point."""

    title: str
    axis: str
    points: Sequence[float]
    series: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that one command shows."""

    title: str
    subtitle: str
    figures: Sequence[Figure]
    tables: Sequence[Table]
    curves: Sequence[Curve] = field(default=())


def written(cell: Cell) -> str:
    """A cell as text: numbers to four figures, yes and no, and a dash for nothing.

    >>> written(0.123456), written(None), written(True)
    ('0.1235', '–', 'yes')
    """
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
