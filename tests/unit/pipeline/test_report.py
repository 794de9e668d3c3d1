"""The final table and plot, and results that come back from disk as they were."""

from __future__ import annotations

import io
import json
from pathlib import Path

from PIL import Image

from configs.recipe import Recipe
from halyard.evals.evaluation import Evaluation, Graded
from halyard.pipeline.report import Report, StageResult
from halyard.pipeline.screen import Screen


def evaluation(right: float) -> Evaluation:
    graded = [
        Graded(
            benchmark=benchmark,
            mode=mode,
            prompt_id=str(index),
            sample=0,
            family=("sum", "chart")[index % 2],
            right=float(index < right * 10),
            well_formed=True,
            tokens=20,
            text="",
            reason="",
        )
        for benchmark, mode in (("reasoning", "thinking"), ("reasoning", "direct"), ("general", "direct"))
        for index in range(10)
    ]
    return Evaluation.of(graded)  # type: ignore[arg-type]


def trained(name: str, right: float) -> StageResult:
    figures = {"loss": 0.25, "tokens": 100}
    return StageResult(
        name=name, type="sft", seconds=61.0, snapshot=f"01-{name}", figures=figures, evaluation=evaluation(right)
    )


def made() -> StageResult:
    outcomes = {"kept": {"all": 3}, "dropped: always right": {"all": 5}}
    return StageResult(name="filter", type="filter", seconds=1.5, rows={"kept": 3, "dropped": 5, "outcomes": outcomes})


def test_results_come_back_from_disk() -> None:
    for result in (trained("a", 0.5), made()):
        assert StageResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_a_stage_in_a_line() -> None:
    assert str(made()) == "kept 3 of 8  (kept 3, always right 5)  1.5 s"
    assert str(trained("a", 0.5)).startswith("loss 0.25  reasoning, thinking 50.0%")


def test_the_end_of_a_run(tmp_path: Path) -> None:
    sft = {"name": "a", "type": "sft", "steps": 3, "data": {"sources": [{"type": "synthetic"}]}}
    report = Report(tmp_path, Recipe.model_validate({"name": "tiny", "model": {"build": "nano"}, "stages": [sft]}))
    for result in (trained("basic", 0.2), made(), trained("longcot", 0.9)):
        report.add(result)
    file = io.StringIO()
    report.show(Screen(file), tmp_path / "snapshots" / "03-longcot", seconds=100)
    text = file.getvalue()
    for shown in ("20.0%", "90.0%", "basic", "longcot", "format 100%, 20 tokens", "1 min 01 s", "halyard chat"):
        assert shown in text
    stages = json.loads((tmp_path / "report.json").read_text())["stages"]
    assert [stage["name"] for stage in stages] == ["basic", "filter", "longcot"]
    with Image.open(tmp_path / "report.png") as image:
        assert image.width > 300
