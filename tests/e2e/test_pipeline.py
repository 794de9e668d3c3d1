"""The whole pipeline, small: every kind of stage, what it leaves on disk, and the commands that read it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from statistics import fmean

import pytest
from support.commands import RECIPES, halyard, lines


def stages(folder: Path) -> list[dict]:
    return json.loads((folder / "recipe.json").read_text())["recipe"]["stages"]


def test_every_stage_leaves_what_it_did(finished: Path) -> None:
    for number, stage in enumerate(stages(finished), start=1):
        folder = finished / "stages" / f"{number:02d}-{stage['name']}"
        if stage["type"] in ("sft", "rl"):
            steps = [line["step"] for line in lines(folder / "metrics.jsonl")]
            assert steps == list(range(1, stage["steps"] + 1)), stage["name"]
        else:
            assert lines(folder / "rows.jsonl"), f"{stage['name']} kept nothing"


def test_the_report_has_a_table_and_a_plot(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    assert report
    assert (finished / "report.png").stat().st_size > 10_000


def test_engine_and_learner_agree_at_every_step(finished: Path) -> None:
    for number, stage in enumerate(stages(finished), start=1):
        if stage["type"] == "rl":
            for line in lines(finished / "stages" / f"{number:02d}-{stage['name']}" / "metrics.jsonl"):
                assert line["drift"] < 1e-3, line


def test_nothing_of_others_on_the_screen(finished: Path) -> None:
    screen = (finished / "screen.txt").read_text()
    for noise in ("WARNING", "INFO", "Traceback", "Triton", "FutureWarning", "pid=", "Writing model shards"):
        assert noise not in screen, screen


def test_snapshots_can_be_listed_and_verified(finished: Path) -> None:
    listed = halyard("snapshot", "list", str(finished), cwd=finished)
    assert listed.returncode == 0
    assert "mixed-rl" in listed.stdout
    assert halyard("snapshot", "verify", str(finished), cwd=finished).returncode == 0


def test_a_snapshot_knows_the_checksum_of_what_it_was_tuned_from(finished: Path) -> None:
    for folder in sorted((finished / "snapshots").iterdir()):
        manifest = json.loads((folder / "manifest.json").read_text())
        known = manifest["lineage"]["start_manifest"]
        if manifest["parent"] is None:
            assert known is None, folder
        else:
            written = (finished / "snapshots" / manifest["parent"] / "manifest.json").read_bytes()
            assert known == hashlib.sha256(written).hexdigest(), folder


def test_a_greedy_soup_measures_what_the_run_measured(finished: Path, tmp_path: Path) -> None:
    """The same benchmark, draws and policies, each now in an engine that held another one before."""
    names = ("longcot-sft", "think-fusion")
    folders = [next((finished / "snapshots").glob(f"*-{name}")) for name in names]
    benchmark = f"{RECIPES / 'tiny.yaml'}:reasoning"
    result = halyard("soup", *map(str, folders), "-o", str(tmp_path / "soup"), "--greedy", benchmark, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    told = json.loads((tmp_path / "soup" / "manifest.json").read_text())["lineage"]
    stages = {stage["name"]: stage for stage in json.loads((finished / "report.json").read_text())["stages"]}
    before = {
        folder.name: fmean(
            cell["pass_at_1"]
            for cell in stages[name]["evaluation"]["cells"]
            if cell["benchmark"] == "reasoning" and cell["family"] is None
        )
        for name, folder in zip(names, folders, strict=True)
    }
    one_answer = 1 / 64  # of 16 problems, two modes and two samples each
    assert {one["version"]: one["accuracy"] for one in told["tried"]} == pytest.approx(before, abs=one_answer)
    best, other = told["tried"]
    assert other["kept"] is (other["together"] >= best["accuracy"])
    assert len(told["parents"]) == 1 + other["kept"]
    assert not list(tmp_path.glob(".soup-*"))


def test_a_damaged_snapshot_is_refused_by_name(finished: Path, tmp_path: Path) -> None:
    import shutil

    (last,) = (finished / "snapshots").glob("*-mixed-rl")
    copy = tmp_path / "damaged"
    shutil.copytree(last, copy)
    weights = next(copy.glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    result = halyard("snapshot", "verify", str(copy), cwd=tmp_path)
    assert result.returncode == 2
    assert weights.name in result.stderr
    assert halyard("chat", str(copy), "hello", cwd=tmp_path).returncode == 2


def test_the_last_snapshot_answers(finished: Path) -> None:
    (last,) = (finished / "snapshots").glob("*-mixed-rl")
    result = halyard("chat", str(last), "--no-think", "what colour is it?", cwd=finished)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
