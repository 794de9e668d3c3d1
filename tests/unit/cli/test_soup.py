"""Soups and family trees on the command line, as a user types them and mistypes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_models import save_dense
from typer.testing import CliRunner, Result

from halyard.cli.main import app
from model.snapshot import verify, write_manifest


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two stages, the second of which tuned the first's policy."""
    folder = tmp_path / "mine"
    snapshots = folder / "snapshots"
    save_dense(snapshots / "01-sft")
    shutil.copytree(snapshots / "01-sft", snapshots / "02-rl")
    weights = load_file(snapshots / "02-rl" / "model.safetensors")
    torch.manual_seed(0)
    save_file(
        {name: w + 0.01 * torch.randn_like(w) for name, w in weights.items()}, snapshots / "02-rl/model.safetensors"
    )
    told = {"run": "mine", "role": "policy", "recipe": "abc"}
    write_manifest(snapshots / "01-sft", version="01-sft", parent=None, lineage={**told, "stage": "sft", "type": "sft"})
    write_manifest(snapshots / "02-rl", version="02-rl", parent="01-sft", lineage={**told, "stage": "rl", "type": "rl"})
    rows = [{"type": "jsonl", "path": "rows.jsonl"}]
    stages = [
        {"name": "sft", "data": {"sources": rows}},
        {"name": "keep", "data": {"sources": rows}},
        {"name": "rl", "algorithm": {"preset": "gspo"}, "data": {"sources": [{"type": "stage", "stage": "keep"}]}},
    ]
    recipe = {"recipe": {"name": "cook", "stages": stages}, "fingerprint": "abc"}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    return folder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "300"})


def test_a_soup_tells_what_it_is_made_of(run: Path, tmp_path: Path) -> None:
    first, second = run / "snapshots" / "01-sft", run / "snapshots" / "02-rl"
    result = call("soup", first, second, "-o", tmp_path / "soup", "--weights", "3,1")
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["1", "01-sft", "0.75", "not", "known", str(first)] in rows
    assert ["2", "02-rl", "0.25", "01-sft", str(second)] in rows
    assert "different kinds of training (sft and rl)" in result.stderr
    verify(tmp_path / "soup")

    tree = call("snapshot", "lineage", tmp_path / "soup").stdout
    assert [line.strip("│├└─ ") for line in tree.splitlines()] == [
        "soup  weighted soup, policy",
        f"folder: {tmp_path / 'soup'}",
        "01-sft  0.75 of the soup, sft, policy",
        f"folder: {first}",
        "recipe: cook (abc), run mine",
        "data: jsonl rows.jsonl",
        "02-rl  0.25 of the soup, rl, policy",
        f"folder: {second}",
        "recipe: cook (abc), run mine",
        "algorithm: gspo",
        "data: what keep kept of jsonl rows.jsonl",
        "01-sft  sft, policy",
        "as above",
    ]


def test_a_parent_that_was_replaced_is_told_of(run: Path, tmp_path: Path) -> None:
    first, second = run / "snapshots" / "01-sft", run / "snapshots" / "02-rl"
    assert call("soup", first, second, "-o", tmp_path / "soup").exit_code == 0
    write_manifest(first, version="01-sft", parent=None, lineage={"type": "sft", "again": True})
    tree = call("snapshot", "lineage", tmp_path / "soup").stdout
    assert f"01-sft  0.5 of the soup, replaced: another snapshot lies in {first} now" in tree


def test_a_recipe_that_made_another_run_tells_nothing(run: Path) -> None:
    (run / "recipe.json").write_text(json.dumps({"recipe": {"name": "other", "stages": []}, "fingerprint": "def"}))
    tree = call("snapshot", "lineage", run).stdout
    assert "recipe: not found (abc), run mine" in tree
    assert "data:" not in tree


def test_ties_needs_a_base(run: Path, tmp_path: Path) -> None:
    first, second = run / "snapshots" / "01-sft", run / "snapshots" / "02-rl"
    result = call("soup", first, second, "-o", tmp_path / "soup", "--method", "ties")
    assert result.exit_code == 2
    assert "--base" in result.stderr
    assert not (tmp_path / "soup").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--weights", "1;2"], "expected numbers with commas"),
        (["--weights", "1,2,3"], "has 3 numbers, expected 2"),
        (["--method", "slerp"], "slerp"),
    ],
)
def test_mistyped(run: Path, tmp_path: Path, arguments: list[str], told: str) -> None:
    models = [run / "snapshots" / "01-sft", run / "snapshots" / "02-rl"]
    result = call("soup", *models, "-o", tmp_path / "soup", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_damaged_model_is_not_merged(run: Path, tmp_path: Path) -> None:
    weights = run / "snapshots" / "02-rl" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    result = call("soup", run / "snapshots" / "01-sft", run, "-o", tmp_path / "soup")
    assert result.exit_code == 2
    assert "is damaged" in result.stderr
    assert not (tmp_path / "soup").exists()


def test_what_is_there_stays(run: Path, tmp_path: Path) -> None:
    result = call("soup", run, run / "snapshots" / "01-sft", "-o", run)
    assert result.exit_code == 2
    assert "is there already" in result.stderr
