"""What a run is doing, as those who watch it are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.recipes_for_tests import written

from configs.load import load_recipe
from halyard.errors import ConfigError
from halyard.runs.driver import find_driver
from halyard.runs.folder import RunFolder
from halyard.runs.reading.health import health
from halyard.runs.reading.runs import changes, list_runs, metrics, processor_folder, show_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", "mine", load_recipe(written(tmp_path)).recipe)


@pytest.fixture
def driven(run: RunFolder) -> Iterator[RunFolder]:
    with run.lock():
        yield run


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "starting"),
        (["started"], "starting"),
        (["started", "stage_started"], "running"),
        (["started", "stage_started", "checkpoint", "drift"], "running"),
        (["stage_started", "order pause"], "pausing"),
        (["stage_started", "order pause", "checkpoint", "paused"], "paused"),
        (["stage_started", "paused", "changed"], "paused"),
        (["stage_started", "paused", "order resume", "unpaused"], "running"),
        (["stage_started", "order stop"], "stopping"),
        (["stage_started", "finished"], "finished"),
        (["stage_started", "order stop", "interrupted"], "stopping"),
        (["stage_started", "failed"], "stopping"),
    ],
)
def test_a_run_whose_process_lives(driven: RunFolder, events: list[str], state: str) -> None:
    for event in events:
        kind, _, verb = event.partition(" ")
        driven.event(kind, stage="rl", **({"verb": verb} if verb else {}), who="ops")
    assert show_run(driven.path).state == state


@pytest.mark.parametrize(
    ("event", "state", "why"),
    [
        ("stage_started", "gone", "its process ended without a word after stage_started"),
        ("failed", "failed", "the engine died"),
        ("interrupted", "stopped", "the engine died"),
        ("finished", "finished", "the engine died"),
    ],
)
def test_a_run_that_nobody_drives(run: RunFolder, event: str, state: str, why: str) -> None:
    run.event(event, stage="rl", message="the engine died")
    view = show_run(run.path)
    assert (view.state, view.why) == (state, why)


def test_a_run_that_is_started_again_is_not_what_it_ended_as(run: RunFolder) -> None:
    run.event("interrupted", message="stopped")
    time.sleep(0.02)
    with run.lock():
        assert show_run(run.path).state == "starting"


def test_the_driver_is_found_while_it_lives_and_no_other_process_under_its_number(run: RunFolder) -> None:
    with run.lock():
        driver = find_driver(run.path)
        assert driver is not None
        assert driver.pid == os.getpid()
    assert find_driver(run.path) is None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (run.path / "lock").write_text(f"{other.pid}\n")
        long_ago = time.time() - 1000
        os.utime(run.path / "lock", (long_ago, long_ago))
        assert find_driver(run.path) is None  # the lock is older than the process of that number
        other.kill()


def test_stages_say_how_far_they_are(driven: RunFolder) -> None:
    folder = driven.stage(2, "rl")
    driven.event("stage_started", stage="rl")
    folder.record({"step": 1, "reward": 0.25, "held_out": None, "why": "text", "fine": True})
    (view,) = list_runs(driven.path.parent)
    assert (view.name, view.stage, view.state) == ("mine", "rl", "running")
    first, second = view.stages[:2]
    assert (first.state, first.step, first.seconds) == ("waiting", 0, None)
    assert (second.state, second.step, second.steps) == ("running", 1, 2)
    assert second.figures == {"step": 1, "reward": 0.25}
    folder.finish({"seconds": 1.5, "snapshot": "02-rl", "evaluation": None})
    second = show_run(driven.path).stages[1]
    assert (second.state, second.seconds, second.snapshot) == ("done", 1.5, "02-rl")


def test_stages_that_were_not_begun_wait_though_their_folders_are_there(driven: RunFolder) -> None:
    """A run makes the folders of all its stages before it begins the first."""
    for index, stage in enumerate(show_run(driven.path).stages, start=1):
        driven.stage(index, stage.name)
    driven.event("stage_started", stage=show_run(driven.path).stages[0].name)
    assert [stage.state for stage in show_run(driven.path).stages] == ["running", "waiting"]


def test_figures_from_a_step_on(run: RunFolder) -> None:
    folder = run.stage(2, "rl")
    for step in (1, 2, 3):
        folder.record({"step": step})
    assert [line["step"] for line in metrics(run.path, "rl", start=1).lines] == [2, 3]
    with pytest.raises(ConfigError, match="has no stage rm, expected one of warm-up, rl"):
        metrics(run.path, "rm")


def test_changes_and_health(driven: RunFolder) -> None:
    driven.event("changed", stage="rl", step=3, key="optimizer.learning_rate", old=1e-6, new=1e-5, who="ops")
    driven.event("drift", stage="rl", step=3, mean=0.1)
    assert [change["new"] for change in changes(driven.path)] == [1e-5]
    found = health(driven.path)
    assert (found.driver, found.alive, found.silent_seconds) == (os.getpid(), True, None)
    assert [event["event"] for event in found.warnings] == ["drift"]
    mine = found.processes[0]
    assert (mine.pid, mine.kind) == (os.getpid(), "driver")
    assert mine.memory_bytes > 2**20


def test_the_processor_is_that_of_the_newest_snapshot(run: RunFolder) -> None:
    assert processor_folder(run.path) is None
    for place in ("models/policy", "snapshots/01-basic", "snapshots/02-rl"):
        (run.path / place).mkdir(parents=True)
        (run.path / place / "tokenizer_config.json").touch()
        (run.path / place / "manifest.json").touch()
        assert processor_folder(run.path) == run.path / place


def test_what_is_no_run_is_left_out(run: RunFolder, tmp_path: Path) -> None:
    (run.path.parent / "notes").mkdir()
    whole = json.loads((run.path / "recipe.json").read_text())
    bare, odd = whole | {"recipe": {"stages": []}}, whole | {"recipe": []}
    for name, content in (("cut", "{"), ("bare", json.dumps(bare)), ("odd", json.dumps(odd))):
        (run.path.parent / name).mkdir()
        (run.path.parent / name / "recipe.json").write_text(content)
    assert [view.name for view in list_runs(run.path.parent)] == ["mine"]
    with pytest.raises(ConfigError, match="is no run"):
        show_run(tmp_path)
