"""`halyard status`: how far a run is, and what it is waiting for right now."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from halyard.cli.shell import console
from halyard.errors import ConfigError

STALE = 30.0


def status(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's name or folder; the newest.")] = None,
    runs: Annotated[Path, typer.Option(help="The folder of all runs.", file_okay=False)] = Path("runs"),
) -> None:
    """Show the stages of a run, its latest figures, and every wait: for whom, which prompt, since when.

    Example: `halyard status quickstart-001`
    """
    folder = find_run(run, runs)
    screen = console()
    screen.print(f"[bold]{folder}[/]  {_state(folder)}")
    screen.print(_stages(folder))
    waits = _json(folder / "waits.json")
    if waits and _alive(waits["pid"]):
        screen.print(_waits(waits))


def find_run(name: str | None, runs: Path) -> Path:
    """Folder of a run by name or path, or of the one that was written to last.

    Raises:
        ConfigError: there is no such run.
    """
    there = {path.parent.name: path.parent for path in sorted(runs.glob("*/recipe.json"))}
    if name is None:
        if not there:
            raise ConfigError(f"there are no runs in {runs.absolute()}; name a run's folder, or say --runs")
        return max(there.values(), key=lambda folder: (folder / "events.jsonl").stat().st_mtime)
    for folder in (Path(name), runs / name):
        if (folder / "recipe.json").is_file():
            return folder
    raise ConfigError(f"there is no run {name}; the runs in {runs.absolute()}: {', '.join(there) or 'none'}")


def _json(path: Path) -> dict[str, Any] | None:
    """Content of a JSON file that may not be there."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a JSONL file that may not be there, or be in the middle of a line."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [json.loads(line) for line in text.split("\n")[:-1] if line]


def _alive(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid)


ENDED = {
    "finished": "[green]done[/]",
    "failed": "[red]failed[/]",
    "interrupted": "[yellow]stopped[/]",
}


def _state(folder: Path) -> str:
    """What the run is doing, from its last event and whether its process lives."""
    events = _lines(folder / "events.jsonl")
    waits = _json(folder / "waits.json")
    last: dict[str, Any] = events[-1] if events else {"event": "created"}
    after = f"after {last['event']}"
    if last["event"] in ENDED:
        return ENDED[last["event"]] + (f": {escape(last['message'])}" if "message" in last else "")
    if waits is None:
        return f"not running ({after}); go on with --resume"
    if not _alive(waits["pid"]):
        return f"[red]its process {waits['pid']} is gone[/] ({after}); go on with --resume"
    silent = time.time() - waits["written"]
    return f"[yellow]silent for {silent:.0f} s[/] ({after})" if silent > STALE else f"[green]running[/] ({after})"


def _stages(folder: Path) -> Any:
    """A table of the recipe's stages: how far each is, and its latest figures."""
    from rich.table import Table

    table = Table("stage", "steps", "latest figures", box=None, header_style="bold")
    recipe = (_json(folder / "recipe.json") or {}).get("recipe", {})
    for index, stage in enumerate(recipe.get("stages", []), start=1):
        metrics = _lines(folder / "stages" / f"{index:02}-{stage['name']}" / "metrics.jsonl")
        steps = f"{metrics[-1]['step'] if metrics else 0}/{stage['steps']}" if "steps" in stage else ""
        table.add_row(stage["name"], steps, _figures(metrics[-1]) if metrics else "")
    return table


def _figures(line: dict[str, Any]) -> str:
    shown = [f"{key} {value:.4g}" for key, value in line.items() if isinstance(value, float)]
    return "  ".join(shown[:6])


def _waits(waits: dict[str, Any]) -> Any:
    """A table of what the run waits for, the oldest first."""
    from rich.table import Table

    table = Table("waiting for", "prompt", "for", "at most", box=None, header_style="bold")
    for wait in waits["waits"]:
        age = time.time() - wait["since"]
        table.add_row(escape(wait["name"]), escape(wait["prompt"] or ""), f"{age:.0f} s", f"{wait['seconds']:.0f} s")
    return table
