"""`halyard serve` refuses in one sentence, before anything starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support.served import write_snapshot
from typer.testing import CliRunner, Result

from halyard.cli.main import app
from halyard.cli.serve import default_state


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_snapshot(tmp_path / "runs" / "quick", "01-a")
    return tmp_path / "runs" / "quick"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["serve", *map(str, arguments)], env={"COLUMNS": "200"})


def refused(result: Result, sentence: str) -> None:
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr
    assert "Traceback" not in result.output
    assert not result.stdout


def test_no_folder(tmp_path) -> None:
    refused(call(tmp_path / "nowhere", "--port", 0), "there is no folder")
    assert list(tmp_path.iterdir()) == []


def test_no_run(tmp_path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    refused(call(tmp_path / "other", "--port", 0), "is neither a run nor a snapshot")


def test_an_open_address_without_keys(run) -> None:
    refused(call(run, "--host", "0.0.0.0", "--port", 0), "Give --api-keys FILE")


def test_keys_that_are_not_there(run, tmp_path) -> None:
    refused(call(run, "--port", 0, "--api-keys", tmp_path / "keys"), "cannot be read: No such file")


def test_a_port_that_is_taken(run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(call(run, "--port", port), f"cannot listen at 127.0.0.1:{port}: Address already in use")


def test_a_wrong_settings_file(run, tmp_path) -> None:
    (tmp_path / "serving.yaml").write_text("limit: {queue: 3}\n")
    refused(
        call(run, "--config", tmp_path / "serving.yaml"),
        "serving.yaml:1: limit is not a known key; did you mean limits?",
    )


def test_aliases_are_kept_beside_the_run(run) -> None:
    expected = run.parent / ".serving"
    assert default_state(run) == expected
    assert default_state(run / "snapshots" / "01-a") == expected
