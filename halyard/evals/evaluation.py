"""What a policy can do, in figures: benchmarks by mode and family, each with its uncertainty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any, Literal

from halyard.evals.intervals import rate_interval

if TYPE_CHECKING:
    from rich.table import Table

Mode = Literal["thinking", "direct"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """One graded answer, the `sample`-th to its prompt: `right` is None where it could not be judged."""

    benchmark: str
    mode: Mode
    prompt_id: str
    sample: int
    family: str
    right: float | None
    well_formed: bool
    tokens: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The figures of a benchmark in a mode, for one family of its problems or (`family` None) for all.

    `pass_at_1` is the mean over prompts of the share of right answers, between `low` and `high` at 95 %;
    `format_rate` the share of well-formed answers; `tokens` the mean length of responses. `failed` of the
    `samples` could not be judged, and are left out of pass@1.
    """

    benchmark: str
    mode: Mode
    family: str | None
    pass_at_1: float
    low: float
    high: float
    format_rate: float
    tokens: float
    prompts: int
    samples: int
    failed: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All cells of one evaluation: by benchmark and mode, first all families, then each."""

    cells: tuple[Cell, ...]

    @classmethod
    def of(cls, graded: Sequence[Graded]) -> Evaluation:
        """The figures of graded answers."""
        return cls(tuple(_cells(graded)))

    def overall(self, benchmark: str, mode: Mode) -> Cell | None:
        """The cell of all families, or None if the benchmark was not measured in this mode."""
        return next((cell for cell in self._of(benchmark, mode) if cell.family is None), None)

    def families(self, benchmark: str, mode: Mode) -> tuple[Cell, ...]:
        """The cells of single families, in the order of their names."""
        return tuple(cell for cell in self._of(benchmark, mode) if cell.family is not None)

    def _of(self, benchmark: str, mode: Mode) -> Iterator[Cell]:
        return (cell for cell in self.cells if (cell.benchmark, cell.mode) == (benchmark, mode))

    def table(self, title: str | None = None) -> Table:
        """The figures as a table for a terminal."""
        from rich.table import Table

        table = Table(title=title, title_justify="left")
        table.add_column("benchmark")
        table.add_column("mode")
        table.add_column("family")
        for heading in ("pass@1", "95 %", "format", "tokens", "prompts", "samples"):
            table.add_column(heading, justify="right", no_wrap=True)
        for cell in self.cells:
            whole = cell.family is None
            first = (cell.benchmark, cell.mode, "all") if whole else ("", "", cell.family or "")
            table.add_row(*first, *_figures(cell), style="bold" if whole else None)
        return table

    def to_json(self) -> dict[str, Any]:
        """The evaluation as plain values."""
        return {"cells": [asdict(cell) for cell in self.cells]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Evaluation:
        """The evaluation that `to_json` made the value of."""
        return cls(tuple(Cell(**cell) for cell in value["cells"]))


def _figures(cell: Cell) -> tuple[str, ...]:
    failed = f" ({cell.failed} failed)" if cell.failed else ""
    return (
        f"{cell.pass_at_1:.1%}",
        f"{cell.low:.1%} – {cell.high:.1%}",
        f"{cell.format_rate:.1%}",
        f"{cell.tokens:.1f}",
        str(cell.prompts),
        f"{cell.samples}{failed}",
    )


def _cells(graded: Sequence[Graded]) -> Iterator[Cell]:
    for benchmark, mode in dict.fromkeys((one.benchmark, one.mode) for one in graded):
        here = [one for one in graded if (one.benchmark, one.mode) == (benchmark, mode)]
        families = sorted({one.family for one in here} - {""})
        yield _cell(here, None)
        for family in families if len(families) > 1 else ():
            yield _cell([one for one in here if one.family == family], family)


def _cell(graded: Sequence[Graded], family: str | None) -> Cell:
    by_prompt: dict[str, list[float]] = {}
    for one in graded:
        if one.right is not None:
            by_prompt.setdefault(one.prompt_id, []).append(one.right)
    judged = sum(map(len, by_prompt.values()))
    rate, low, high = rate_interval([mean(rights) for rights in by_prompt.values()], judged)
    return Cell(
        benchmark=graded[0].benchmark,
        mode=graded[0].mode,
        family=family,
        pass_at_1=rate,
        low=low,
        high=high,
        format_rate=mean(one.well_formed for one in graded),
        tokens=mean(one.tokens for one in graded),
        prompts=len({one.prompt_id for one in graded}),
        samples=len(graded),
        failed=len(graded) - judged,
    )
