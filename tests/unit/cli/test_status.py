"""What `halyard status` says of a run: how far, and what it waits for."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from support.recipes_for_tests import written
from typer.testing import CliRunner

from configs.load import load_recipe
from halyard.cli.main import app
from halyard.runs.folder import RunFolder

GONE = 2**22 - 7


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path / "runs", "mine", load_recipe(written(tmp_path)).recipe)
    folder.event("stage_started", stage="rl")
    folder.stage(2, "rl").record({"step": 1, "reward": 0.25, "loss": 0.125})
    return folder


def status(run: RunFolder, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["status", *arguments, "--runs", str(run.path.parent)], env={"COLUMNS": "200"})


def waits(run: RunFolder, *, pid: int, written: float) -> None:
    wait = {"name": "engine-0 generate", "prompt": "sum-17", "since": time.time() - 5, "seconds": 600}
    (run.path / "waits.json").write_text(json.dumps({"pid": pid, "written": written, "waits": [wait]}))
    (run.path / "lock").write_text(f"{pid}\n")


@pytest.mark.parametrize("arguments", [(), ("mine",)])
def test_a_running_run(run: RunFolder, arguments: tuple[str, ...]) -> None:
    waits(run, pid=os.getpid(), written=time.time())
    out = status(run, *arguments).stdout
    assert "mine  running" in out
    assert "rl       1/2    reward 0.25  loss 0.125" in out
    assert re.search(r"engine-0 generate  sum-17  \d+ s +600 s", out)


def test_a_run_whose_process_is_gone(run: RunFolder) -> None:
    waits(run, pid=GONE, written=time.time())
    out = status(run).stdout
    assert "its process ended without a word after stage_started; go on with --resume" in out
    assert "engine-0" not in out


def test_a_silent_run(run: RunFolder) -> None:
    waits(run, pid=os.getpid(), written=time.time() - 100)
    assert re.search(r"silent for 1\d\d s", status(run).stdout)


@pytest.mark.parametrize(
    ("event", "fields", "shown"),
    [
        ("finished", {}, "done"),
        ("failed", {"message": "the engine [0] died"}, "failed: the engine [0] died"),
        ("interrupted", {"message": "stopped after step 1"}, "stopped: stopped after step 1"),
    ],
)
def test_a_run_that_ended(run: RunFolder, event: str, fields: dict[str, str], shown: str) -> None:
    run.event(event, **fields)
    assert f"mine  {shown}" in status(run).stdout


def test_no_such_run(run: RunFolder) -> None:
    result = status(run, "yours")
    assert result.exit_code == 2
    assert "there is no run yours; the runs in" in result.stderr
