"""Whether a run is well: its process, what that waits for, the engines and learners, and what they warned of."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from halyard.runs.driver import find_driver
from halyard.runs.reading.lines import read_last
from halyard.runs.reading.runs import read_json

WARNINGS = (
    "drift",
    "engine_restart",
    "learner_restart",
    "bad_row",
    "judge_down",
    "judge_outage",
    "judge_changed",
    "reward_alarm",
)
"""Events that a person should see while the run goes on."""
ProcessKind = Literal["driver", "engine", "learner", "ray", "other"]
_SHOWN = 20
_MARKS: tuple[tuple[str, ProcessKind], ...] = (
    ("LearnerRank", "learner"),
    ("EngineActor", "engine"),
    ("VLLM::", "engine"),
    ("ray", "ray"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitView:
    """One thing that a run waits for: since when (Unix seconds), and for how many seconds at most."""

    name: str
    prompt: str | None
    since: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessView:
    """One process of a run on this machine; `since` in Unix seconds."""

    pid: int
    kind: ProcessKind
    name: str
    cpu_seconds: float
    memory_bytes: int
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a run does. `silent_seconds` is the time since its process last wrote what it waits for."""

    driver: int | None
    alive: bool
    silent_seconds: float | None
    waits: tuple[WaitView, ...]
    processes: tuple[ProcessView, ...]
    engine_restarts: int
    warnings: tuple[Mapping[str, Any], ...]


def health(run: Path, *, processes: bool = True) -> Health:
    """How a run does right now; its processes are those on this machine."""
    driver = find_driver(run)
    table = read_json(run / "waits.json") if driver else {}
    warnings = read_last(run / "events.jsonl", 10_000, lambda event: event["event"] in WARNINGS)
    return Health(
        driver=driver.pid if driver else None,
        alive=driver is not None,
        silent_seconds=max(0.0, time.time() - table["written"]) if table else None,
        waits=tuple(WaitView(**wait) for wait in table.get("waits", ())),
        processes=tuple(_processes(driver.pid)) if driver and processes else (),
        engine_restarts=sum(event["event"] == "engine_restart" for event in warnings),
        warnings=warnings[-_SHOWN:],
    )


def _processes(driver: int) -> Iterator[ProcessView]:
    """The driver and all that it started, with what each is."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(driver)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                title = " ".join(process.cmdline()) or process.name()
                kind = "driver" if process.pid == driver else _kind(title)
                times = process.cpu_times()
                yield ProcessView(
                    pid=process.pid,
                    kind=kind,
                    name=title[:120],
                    cpu_seconds=times.user + times.system,
                    memory_bytes=process.memory_info().rss,
                    since=process.create_time(),
                )


def _kind(title: str) -> ProcessKind:
    for mark, kind in _MARKS:
        if mark in title:
            return kind
    return "other"
