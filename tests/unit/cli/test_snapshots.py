"""Snapshots on the command line: listed with where they come from, and a damaged one refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from halyard.cli.main import app
from halyard.cli.snapshot import policy_folder
from halyard.errors import SnapshotError
from model.build import build
from model.snapshot import write_manifest


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    for version, parent, role in (
        ("01-sft", None, "policy"),
        ("02-rl", "01-sft", "policy"),
        ("03-judge", None, "judge"),
    ):
        snapshot = folder / "snapshots" / version
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text("{}")
        (snapshot / "model.safetensors").write_bytes(bytes(1024**2))
        write_manifest(snapshot, version=version, parent=parent, lineage={"role": role, "stage": version[3:]})
    (folder / "recipe.json").write_text("{}")
    return folder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["snapshot", *map(str, arguments)], env={"COLUMNS": "300"})


def test_list(run: Path) -> None:
    lines = call("list", run).stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["01-sft", "policy"],
        ["02-rl", "policy"],
        ["03-judge", "judge"],
    ]
    assert "01-sft" in lines[2].split()[2]
    assert "1.0" in lines[1].split()


def test_nothing_of_a_list_is_cut_where_it_is_read_by_a_program(run: Path) -> None:
    lines = CliRunner().invoke(app, ["snapshot", "list", str(run)], env={"COLUMNS": "40"}).stdout.splitlines()
    assert len(lines) == 4
    assert lines[1].split()[-1] == str(run / "snapshots" / "01-sft")


def test_show(run: Path) -> None:
    shown = json.loads(call("show", run / "snapshots" / "02-rl").stdout)
    assert (shown["version"], shown["parent"]) == ("02-rl", "01-sft")
    assert "model.safetensors" in shown["files"]


def test_verify_names_the_damaged_file(run: Path) -> None:
    assert call("verify", run).exit_code == 0
    weights = run / "snapshots" / "02-rl" / "model.safetensors"
    weights.write_bytes(bytes(1024**2 - 1) + b"\x01")
    result = call("verify", run)
    assert result.exit_code == 2
    assert "02-rl" in result.stderr
    assert "model.safetensors" in result.stderr


def test_the_policy_of_a_run_is_its_newest_that_is_no_judge(run: Path) -> None:
    assert policy_folder(run) == run / "snapshots" / "02-rl"
    assert policy_folder(run / "snapshots" / "03-judge").name == "03-judge"


def test_a_run_without_snapshots(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(SnapshotError, match="it has no snapshots yet"):
        policy_folder(tmp_path)


def test_convert_there_and_back(tmp_path: Path) -> None:
    build("nano", tmp_path / "ours", seed=0)
    there = call("convert", tmp_path / "ours", tmp_path / "there")
    assert there.exit_code == 0
    assert "a SAIL-VL2 of no published size in the released layout, 54 weights, 301,488 parameters" in there.stdout
    assert call("convert", tmp_path / "there", tmp_path / "back").exit_code == 0
    assert load_file(tmp_path / "back" / "model.safetensors").keys() == (
        load_file(tmp_path / "ours" / "model.safetensors").keys()
    )
    again = call("convert", tmp_path / "there", tmp_path / "back")
    assert again.exit_code == 2
    assert "is there already" in str(again.exception) + again.output
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
