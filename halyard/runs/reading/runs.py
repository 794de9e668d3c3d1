"""What runs there are, how far each is, and what it wrote down on the way."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from halyard.errors import ConfigError
from halyard.runs.driver import Driver, find_driver
from halyard.runs.layout import RECIPE, run_folders, stage_path
from halyard.runs.reading.lines import Lines, read_from, read_last

RunState = Literal["starting", "running", "pausing", "paused", "stopping", "stopped", "failed", "finished", "gone"]
StageState = Literal["waiting", "running", "stopped", "done"]

_ENDS: Mapping[str, RunState] = {"finished": "finished", "failed": "failed", "interrupted": "stopped"}
_GOING: Mapping[str, RunState] = {
    "created": "starting",
    "started": "starting",
    "stage_started": "running",
    "resumed": "running",
    "unpaused": "running",
    "paused": "paused",
    "order pause": "pausing",
    "order resume": "running",
    "order stop": "stopping",
}
_ROUNDED = 0.001
"""Seconds by which an event may say that it was earlier than it was."""
_STAGE = ("name", "type")
"""What every stage of a recipe says, and what is shown of it."""
_REST = ("stopped", "failed", "finished", "gone")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """A stage of a run's recipe.

    `steps` and `figures` (the numbers of the last line of metrics) are of stages that train; `seconds`, `snapshot` and
    `evaluation` are what its summary says, once it is done.
    """

    index: int
    name: str
    type: str
    state: StageState
    step: int
    steps: int | None
    figures: Mapping[str, float]
    seconds: float | None
    snapshot: str | None
    evaluation: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run at a glance. `created` and `updated` are Unix seconds; `stage` is the one going on, or the last begun.

    `gone` is the state of a run whose process died without a word; `why` says more of one that failed, was stopped
    or is paused.
    """

    name: str
    path: Path
    recipe: str
    description: str
    state: RunState
    why: str
    created: float
    updated: float
    stage: str | None
    stages: tuple[StageView, ...]


def list_runs(root: Path) -> list[RunView]:
    """The runs of a folder, newest first; what is none, or damaged, is left out."""
    runs = []
    for folder in run_folders(root):
        with contextlib.suppress(ConfigError):
            runs.append(show_run(folder))
    return sorted(runs, key=lambda one: (one.created, one.name), reverse=True)


def show_run(run: Path) -> RunView:
    """One run.

    Raises:
        ConfigError: the folder is no run.
    """
    content, path = recipe(run), run / "events.jsonl"
    first = read_from(path, most=1).lines
    last = read_last(path)
    state, why = _state(run, find_driver(run))
    begun = read_last(path, wanted=lambda event: event["event"] == "stage_started")
    stage = begun[0]["stage"] if begun else None
    written = [metrics.stat().st_mtime for metrics in run.glob("stages/*/metrics.jsonl")]
    names = [one["name"] for one in content["stages"]]
    reached = names.index(stage) if stage in names else -1  # the folders of all stages are there from the start
    begun_state: StageState = "stopped" if state in _REST else "running"
    states: list[StageState] = [begun_state if index <= reached else "waiting" for index in range(len(names))]
    return RunView(
        name=run.absolute().name,
        path=run,
        recipe=content["name"],
        description=content["description"],
        state=state,
        why=why,
        created=first[0]["time"] if first else (run / RECIPE).stat().st_mtime,
        updated=max([*(event["time"] for event in last), *written], default=0.0),
        stage=stage,
        stages=tuple(_stage(run, index + 1, one, states[index]) for index, one in enumerate(content["stages"])),
    )


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's."""
    try:
        return bool(stored(folder))
    except ConfigError:
        return False


def stored(run: Path) -> dict[str, Any]:
    """What a run's recipe.json says: the recipe, and what it was started with.

    Raises:
        ConfigError: the folder is no run.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((run / RECIPE).read_text(encoding="utf-8"))
        recipe = found["recipe"]
        told = [recipe["name"], recipe["description"], *(stage[key] for stage in recipe["stages"] for key in _STAGE)]
        if all(isinstance(one, str) for one in told):
            return found
    raise ConfigError(f"{run} is no run: it has no recipe.json, or a damaged one")


def recipe(run: Path) -> dict[str, Any]:
    """The recipe that a run follows, resolved.

    Raises:
        ConfigError: the folder is no run.
    """
    return stored(run)["recipe"]


def events(run: Path, start: int = 0, most: int | None = None) -> Lines:
    """Changes of state: `time`, `event`, and what belongs to that."""
    return read_from(run / "events.jsonl", start, most)


def changes(run: Path) -> list[dict[str, Any]]:
    """What was changed while the run went on, by whom, and after which step it took effect."""
    return [event for event in events(run).lines if event["event"] == "changed"]


def metrics(run: Path, stage: str, start: int = 0, most: int | None = None) -> Lines:
    """The figures of a stage's steps; line n is step n + 1.

    Raises:
        ConfigError: there is no such stage.
    """
    return read_from(stage_folder(run, stage) / "metrics.jsonl", start, most)


def stage_folder(run: Path, stage: str) -> Path:
    """The folder of a stage, which is there once the stage has begun.

    Raises:
        ConfigError: there is no such stage.
    """
    names = [one["name"] for one in recipe(run)["stages"]]
    if stage not in names:
        raise ConfigError(f"the run {run.name} has no stage {stage}, expected one of {', '.join(names)}")
    return stage_path(run, names.index(stage) + 1, stage)


def processor_folder(run: Path) -> Path | None:
    """A folder with the tokenizer and processor of the run's policy; None before there is one."""
    places = [file.parent for file in sorted(run.glob("snapshots/*/manifest.json"), reverse=True)]
    places.append(run / "models" / "policy")
    root, given = stored(run).get("root"), recipe(run)["model"].get("path")
    if root and given:
        places.append(Path(root) / Path(given).expanduser())
    return next((place for place in places if (place / "tokenizer_config.json").is_file()), None)


def _state(run: Path, driver: Driver | None) -> tuple[RunState, str]:
    """What a run is doing, from its last change of state and whether its process lives; and why."""
    found = read_last(run / "events.jsonl", wanted=lambda event: _kind(event) in (*_ENDS, *_GOING))
    last = found[0] if found else {"event": "created", "time": 0.0}
    kind = _kind(last)
    if kind in _ENDS and (driver is None or driver.since <= last["time"] + _ROUNDED):
        over = driver is None or kind == "finished"  # else its process is just closing engines and learners
        return _ENDS[kind] if over else "stopping", last.get("message", "")
    if driver is None:
        return "gone", f"its process ended without a word after {kind}"
    return _GOING.get(kind, "starting"), f"by {last['who']}" if last.get("who") else ""


def _kind(event: Mapping[str, Any]) -> str:
    return f"order {event['verb']}" if event["event"] == "order" else event["event"]


def _stage(run: Path, index: int, config: Mapping[str, Any], unfinished: StageState) -> StageView:
    folder = stage_path(run, index, config["name"])
    summary = read_json(folder / "summary.json")
    last = read_last(folder / "metrics.jsonl")
    state: StageState = "done" if summary else unfinished if folder.is_dir() else "waiting"
    return StageView(
        index=index,
        name=config["name"],
        type=config["type"],
        state=state,
        step=last[0]["step"] if last else 0,
        steps=config.get("steps"),
        figures=numbers(last[0]) if last else {},
        seconds=summary.get("seconds"),
        snapshot=summary.get("snapshot"),
        evaluation=summary.get("evaluation"),
    )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is none, or none that is whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a line that are numbers."""
    return {
        name: value for name, value in line.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }
