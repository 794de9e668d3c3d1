"""What the user sees of a run: a header, a bar with live figures for each stage, a line when it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

_NAMES = {
    "engine_drift": "drift",
    "learning_rate": "lr",
    "response_tokens_mean": "length",
    "staleness_mean": "staleness",
    "tokens_per_second": "tokens/s",
    "validation_nll": "validation",
}
_SIGNS = {"ok": "[green]✓[/]", "failed": "[red]✗[/]", "skipped": "[yellow]-[/]"}
_SECONDS_BETWEEN_LINES = 15.0
_LOG_WIDTH = 140


class Screen:
    """A terminal with a live bar, or a log with a line now and then."""

    def __init__(self, file: TextIO | None = None) -> None:
        self.console = Console(file=file, highlight=False)
        if not self.console.is_terminal:
            self.console = Console(file=file, highlight=False, width=_LOG_WIDTH)
        self._bar: Progress | None = None
        self._told = 0.0

    def header(self, title: str, facts: Mapping[str, str]) -> None:
        """Show what is about to run: a title, and facts by name."""
        self.console.print(f"[bold]{title}[/]")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, fact in facts.items():
            grid.add_row(f"  {name}", fact)
        self.console.print(grid)
        self.console.print()

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """A stage that is going on, with a bar on a terminal."""
        self._told = 0.0
        if not self.console.is_terminal:
            self.console.print(f"{title} ...")
            yield
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[cyan]{task.fields[figures]}"),
        )
        with Progress(*columns, console=self.console, transient=True) as self._bar:
            self._bar.add_task(title, total=None, figures="")
            try:
                yield
            finally:
                self._bar = None

    def progress(self, step: int, total: int, figures: Mapping[str, float]) -> None:
        """Show how far the stage is; in a log at most every fifteen seconds, and at the end."""
        text = "  ".join(f"{label(name)} {number(value)}" for name, value in figures.items())
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=step, total=total, figures=text)
            return
        now = time.monotonic()
        if step == total or now - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = now
            self.console.print(f"  {step}/{total}  {text}")

    def note(self, text: str, style: str = "dim") -> None:
        """Show a line beside the bar."""
        self.console.print(text, style=style, markup=False, soft_wrap=True)

    def done(self, title: str, text: str) -> None:
        """Show what came of a stage."""
        self.console.print(f"[green]✓[/] {title}  {escape(text)}", soft_wrap=True)

    def checks(self, checks: Sequence[Mapping[str, Any]]) -> None:
        """Show the table of the preflight: each check with what it found."""
        table = Table(box=None, padding=(0, 2), show_header=False)
        for check in checks:
            table.add_row(f"  {_SIGNS[check['status']]}", check["name"], escape(check["detail"]), style="dim")
        self.console.print(table)

    def table(self, table: Table) -> None:
        """Show a table with room around it."""
        self.console.print()
        self.console.print(table)
        self.console.print()


def label(name: str) -> str:
    """What a figure is called where there is little room."""
    return _NAMES.get(name, name)


def number(value: float) -> str:
    """A figure in few letters: 0.734, 1.2e-05, 12,345."""
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """A duration in few letters: 8.1 s, 3 min 20 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
