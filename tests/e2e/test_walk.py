"""What the stages hand to each other: snapshots with parents, rows with reasons; and what a finished run refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from support.commands import RECIPES, halyard, lines

from halyard.runs.stage import StageFolder
from model.snapshot import read_manifest, verify

POLICIES = ["01-basic-sft", "02-longcot-sft", "04-verifiable-rl", "06-think-fusion", "09-mixed-rl"]


def run(folder: Path, *more: str) -> tuple[str, ...]:
    return ("run", str(RECIPES / "tiny.yaml"), "--runs", str(folder.parent), "--name", folder.name, *more)


def test_every_policy_is_a_verified_snapshot_that_knows_its_parent(finished: Path) -> None:
    assert sorted(path.name for path in (finished / "snapshots").iterdir()) == sorted([*POLICIES, "07-judge-sft"])
    parents = dict(zip(POLICIES, [None, *POLICIES], strict=False))
    for name in POLICIES:
        verify(finished / "snapshots" / name)
        manifest = read_manifest(finished / "snapshots" / name)
        assert manifest.parent == parents[name]
        assert manifest.lineage["metrics"]["step"] > 0


def test_metrics_and_rollouts_are_whole(finished: Path) -> None:
    folder = StageFolder(finished / "stages" / "09-mixed-rl")
    assert [line["step"] for line in folder.metrics()] == [1, 2, 3]
    records = list(folder.read_rollouts())
    trained = {record.occurrence for record in records if record.state == "trained"}
    assert len(trained) == 3 * 4
    assert all(record.reward is None for record in records if record.status == "failed")
    assert all(record.step - 1 == record.version_oldest == record.version_newest for record in records)
    judged = [record.components["consistency"] for record in records if "consistency" in record.components]
    assert set(judged) <= {0.0, 1.0}


def test_each_maker_of_data_says_what_it_kept_and_why(finished: Path) -> None:
    for stage in ("03-filter", "05-harvest", "08-hard-cases"):
        report = json.loads((finished / "stages" / stage / "report.json").read_text())
        assert report["kept"] == len(lines(finished / "stages" / stage / "rows.jsonl")) > 0
        assert sum(by["all"] for by in report["outcomes"].values()) == report["kept"] + report["dropped"]


def test_the_report_has_a_row_for_each_policy(finished: Path) -> None:
    stages = json.loads((finished / "report.json").read_text())["stages"]
    assert [stage["snapshot"] for stage in stages if stage["evaluation"]] == POLICIES
    cells = stages[-1]["evaluation"]["cells"]
    assert {(cell["benchmark"], cell["mode"]) for cell in cells} == {
        ("reasoning", "thinking"),
        ("reasoning", "direct"),
        ("general", "direct"),
    }
    assert (finished / "report.png").read_bytes().startswith(b"\x89PNG")


def test_another_recipe_cannot_go_on_with_the_run(finished: Path) -> None:
    result = halyard(*run(finished, "--resume", "seed=5"), cwd=finished.parent, timeout=60)
    assert result.returncode == 2
    assert "seed: was 0, now 5" in result.stderr


def test_a_corrupt_snapshot_is_refused_by_name(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    weights = copy / "snapshots" / "02-longcot-sft" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    result = halyard(*run(copy, "--resume"), cwd=copy.parent, timeout=120)
    assert result.returncode == 2
    assert "02-longcot-sft" in result.stderr
    assert "model.safetensors" in result.stderr


def test_a_finished_run_is_shown_again_without_starting_anything(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    before = sorted((copy / "logs").iterdir())
    for log in before:
        shutil.rmtree(log) if log.is_dir() else log.unlink()
    result = halyard(*run(copy, "--resume"), cwd=copy.parent, timeout=60)
    assert result.returncode == 0, result.stderr
    assert (result.stdout + result.stderr).count("(done before)") == 9
    assert [log.name for log in (copy / "logs").iterdir()] == ["driver.log"]
