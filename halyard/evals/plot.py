"""The stages of a run in one picture: pass@1 after each, thinking and direct, overall and by family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halyard.evals.evaluation import Cell, Evaluation, Mode

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Stages = Sequence[tuple[str, Evaluation]]
COLOURS: dict[Mode, str] = {"thinking": "#0b6e99", "direct": "#d9730d"}
MARKERS: dict[Mode, str] = {"thinking": "o", "direct": "s"}
INK, FAINT, GRID = "#37352f", "#787774", "#e9e9e7"
COLUMNS = (4, 3, 5)
"""Panels side by side: the first of these that leaves the fewest places of the last row empty."""
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
}


@dataclass(frozen=True, slots=True)
class _Panel:
    """One small picture: a benchmark, and one of its families or all."""

    benchmark: str
    family: str | None

    def cell(self, evaluation: Evaluation, mode: Mode) -> Cell | None:
        """The figures to draw, or None where this was not measured."""
        if self.family is None:
            return evaluation.overall(self.benchmark, mode)
        families = evaluation.families(self.benchmark, mode)
        return next((cell for cell in families if cell.family == self.family), None)


def plot_stages(stages: Stages, path: Path) -> None:
    """Write the picture as a PNG; `stages` are (name, figures), in order, and bars are 95 % intervals.

    Benchmarks stand first, each with all its families together, then the families.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = _panels(stages)
    columns = min(len(panels), min(COLUMNS, key=lambda width: -len(panels) % width))
    rows = math.ceil(len(panels) / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(2.6 * columns, 4.2), 2.15 * rows + 1.1), dpi=160, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        axes = list(grid.flat)
        for i, panel in enumerate(panels):
            lowest = i + columns >= len(panels)
            _draw(axes[i], panel, stages, left=i % columns == 0, names=lowest)
        for unused in axes[len(panels) :]:
            unused.remove()
        _legend(figure, stages)
        figure.savefig(path)


def _panels(stages: Stages) -> list[_Panel]:
    cells = [cell for _, evaluation in stages for cell in evaluation.cells]
    found = dict.fromkeys(_Panel(cell.benchmark, cell.family) for cell in cells)
    return sorted(found, key=lambda panel: panel.family is not None)


def _draw(axes: Axes, panel: _Panel, stages: Stages, *, left: bool, names: bool) -> None:
    for offset, mode in zip((-0.06, 0.06), COLOURS, strict=True):
        points = [(i + offset, cell) for i, (_, one) in enumerate(stages) if (cell := panel.cell(one, mode))]
        if points:
            _line(axes, mode, points)
    whole = panel.family is None
    axes.set_title(panel.benchmark if whole else panel.family or "", loc="left", fontsize=9.5, color=INK,
                   fontweight="bold" if whole else "normal")  # fmt: skip
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks((0, 0.25, 0.5, 0.75, 1), ("0", "25", "50", "75", "100"))
    axes.set_xlim(-0.35, len(stages) - 0.65)
    labels = [name for name, _ in stages] if names else []
    axes.set_xticks(range(len(stages)), labels or [""] * len(stages), rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0, pad=4)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if left:
        axes.set_ylabel("pass@1, %")


def _line(axes: Axes, mode: Mode, points: list[tuple[float, Cell]]) -> None:
    places = [place for place, _ in points]
    rates = [cell.pass_at_1 for _, cell in points]
    errors = [[cell.pass_at_1 - cell.low for _, cell in points], [cell.high - cell.pass_at_1 for _, cell in points]]
    axes.errorbar(
        places, rates, yerr=errors, color=COLOURS[mode], marker=MARKERS[mode], markersize=4.5, markeredgecolor="white",
        markeredgewidth=0.7, linewidth=1.5, elinewidth=1.0, capsize=0, clip_on=False, zorder=3,
    )  # fmt: skip


def _legend(figure: object, stages: Stages) -> None:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    assert isinstance(figure, Figure)
    present = {cell.mode for _, evaluation in stages for cell in evaluation.cells}
    handles = [
        Line2D([], [], color=COLOURS[mode], marker=MARKERS[mode], markersize=5, linewidth=1.5, label=mode)
        for mode in COLOURS
        if mode in present
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False, fontsize=9)
