"""What a run came to: one line a stage, one table at the end, a plot, and report.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from configs.recipe import Recipe
from halyard.evals.evaluation import Cell, Evaluation
from halyard.pipeline.plot import overall, plot
from halyard.pipeline.screen import duration, label, number
from halyard.runs.atomic import write_json

if TYPE_CHECKING:
    from halyard.pipeline.screen import Screen

_FIGURES = {"sft": ("loss", "validation_nll"), "rl": ("reward", "loss", "engine_drift")}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """What came of a stage. `rows` is of the stages that make data, the rest of those that train.

    `figures` are those of the last step, `evaluation` of the policy that the stage left.
    """

    name: str
    type: str
    seconds: float
    role: str = "policy"
    snapshot: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    rows: Mapping[str, Any] | None = None
    evaluation: Evaluation | None = None

    def __str__(self) -> str:
        parts = self._rows() if self.rows is not None else self._figures()
        return "  ".join([*parts, duration(self.seconds)])

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        return plain | {"evaluation": self.evaluation.to_json() if self.evaluation is not None else None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> StageResult:
        """The result that `to_json` wrote."""
        evaluation = value["evaluation"]
        return cls(**{**value, "evaluation": Evaluation.from_json(evaluation) if evaluation is not None else None})

    def _rows(self) -> list[str]:
        rows = self.rows or {}
        reasons = [f"{outcome.removeprefix('dropped: ')} {by['all']}" for outcome, by in rows["outcomes"].items()]
        return [f"kept {rows['kept']:,} of {rows['kept'] + rows['dropped']:,}", f"({', '.join(reasons)})"]

    def _figures(self) -> list[str]:
        shown = [f"{label(name)} {number(self.figures[name])}" for name in _FIGURES[self.type] if name in self.figures]
        cells = overall(self.evaluation) if self.evaluation is not None else {}
        return shown + [f"{title} {cell.pass_at_1:.1%}" for title, cell in cells.items()]


class Report:
    """The results of the stages, written down after each one."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self._folder = folder
        self._recipe = recipe
        self._results: list[StageResult] = []

    def add(self, result: StageResult) -> None:
        """Nothing; report.json has the result, and the plot once there are two policies to compare."""
        self._results.append(result)
        stages = [one.to_json() for one in self._results]
        write_json(self._folder / "report.json", {"recipe": self._recipe.name, "stages": stages})
        measured = self._measured()
        if len(measured) > 1:
            plot(self._folder / "report.png", measured)

    def show(self, screen: Screen, policy: Path, *, seconds: float) -> None:
        """Print the final table, and where things are."""
        measured = self._measured()
        if measured:
            screen.table(table(measured, {one.name: one.seconds for one in self._results}))
            last = list(measured)[-1]
            screen.table(measured[last].table(f"by family, after {last}"))
        screen.header(
            f"done in {duration(seconds)}",
            {
                "policy": str(policy),
                "report": str(self._folder / ("report.png" if len(measured) > 1 else "report.json")),
                "talk to it": f"halyard chat {policy}",
            },
        )

    def _measured(self) -> dict[str, Evaluation]:
        return {one.name: one.evaluation for one in self._results if one.evaluation is not None}


def table(evaluations: Mapping[str, Evaluation], seconds: Mapping[str, float]) -> Table:
    """Stages by benchmarks and modes: pass@1, its 95 % interval, and how the answers looked."""
    titles = list(dict.fromkeys(title for one in evaluations.values() for title in overall(one)))
    shown = Table(title="pass@1 on held-out problems, with its 95 % interval", title_justify="left")
    shown.add_column("after", no_wrap=True)
    for title in titles:
        shown.add_column(title, justify="right", no_wrap=True)
    shown.add_column("training", justify="right", no_wrap=True)
    for stage, evaluation in evaluations.items():
        cells = overall(evaluation)
        shown.add_row(stage, *(_shown(cells.get(title)) for title in titles), duration(seconds[stage]))
    return shown


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return ""
    interval = f"{cell.low * 100:.1f} – {cell.high * 100:.1f}"
    return f"[bold]{cell.pass_at_1:.1%}[/]\n{interval}\n[dim]format {cell.format_rate:.0%}, {cell.tokens:.0f} tokens[/]"
