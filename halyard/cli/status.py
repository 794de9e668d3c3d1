"""`halyard status`: how far a run is, and what it is waiting for right now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from halyard.cli.shell import console
from halyard.errors import ConfigError
from halyard.runs.layout import run_folders

if TYPE_CHECKING:
    from halyard.runs.reading.health import Health, WaitView
    from halyard.runs.reading.runs import RunView

STALE = 30.0


def status(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's name or folder; the newest.")] = None,
    runs: Annotated[Path, typer.Option(help="The folder of all runs.", file_okay=False)] = Path("runs"),
) -> None:
    """Show the stages of a run, its latest figures, and every wait: for whom, which prompt, since when.

    Example: `halyard status quickstart-001`
    """
    from halyard.runs.reading.health import health
    from halyard.runs.reading.runs import show_run

    folder = find_run(run, runs)
    view, found = show_run(folder), health(folder, processes=False)
    screen = console()
    screen.print(f"[bold]{folder}[/]  {_state(view, found)}")
    screen.print(_stages(view))
    if found.waits:
        screen.print(_waits(found.waits))


def find_run(name: str | None, runs: Path) -> Path:
    """Folder of a run by name or path, or of the one that was written to last.

    Raises:
        ConfigError: there is no such run.
    """
    there = {path.name: path for path in sorted(run_folders(runs))}
    if name is None:
        if not there:
            raise ConfigError(f"there are no runs in {runs.absolute()}; name a run's folder, or say --runs")
        return max(there.values(), key=lambda folder: (folder / "events.jsonl").stat().st_mtime)
    for folder in (Path(name), runs / name):
        if (folder / "recipe.json").is_file():
            return folder
    raise ConfigError(f"there is no run {name}; the runs in {runs.absolute()}: {', '.join(there) or 'none'}")


_STATES = {
    "finished": "[green]done[/]",
    "failed": "[red]failed[/]",
    "stopped": "[yellow]stopped[/]",
    "paused": "[yellow]paused[/]",
}


def _state(view: RunView, found: Health) -> str:
    """What the run is doing, and what it last wrote down."""
    if view.state in _STATES:
        return _STATES[view.state] + (f": {escape(view.why)}" if view.why else "")
    if view.state == "gone":
        return f"[red]{escape(view.why)}[/]; go on with --resume"
    silent = found.silent_seconds or 0.0
    return f"[yellow]silent for {silent:.0f} s[/]" if silent > STALE else f"[green]{view.state}[/]"


def _stages(view: RunView) -> Any:
    """A table of the recipe's stages: how far each is, and its latest figures."""
    from rich.table import Table

    table = Table("stage", "steps", "latest figures", box=None, header_style="bold")
    for stage in view.stages:
        steps = f"{stage.step}/{stage.steps}" if stage.steps is not None else ""
        figures = [f"{name} {value:.4g}" for name, value in stage.figures.items() if isinstance(value, float)]
        table.add_row(stage.name, steps, "  ".join(figures[:6]))
    return table


def _waits(waits: Sequence[WaitView]) -> Any:
    """A table of what the run waits for, the oldest first."""
    from rich.table import Table

    table = Table("waiting for", "prompt", "for", "at most", box=None, header_style="bold")
    for wait in waits:
        age = time.time() - wait.since
        table.add_row(escape(wait.name), escape(wait.prompt or ""), f"{age:.0f} s", f"{wait.seconds:.0f} s")
    return table
