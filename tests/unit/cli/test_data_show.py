"""`halyard data show`: the tokens of a stage, with what is learnt in brackets."""

from __future__ import annotations

from pathlib import Path

from support.recipes_for_tests import written
from typer.testing import CliRunner

from halyard.cli.main import app


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["data", "show", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_trained_answer_is_bracketed_and_a_question_is_not(tmp_path: Path) -> None:
    recipe = written(tmp_path)
    learnt = call(recipe, "warm-up", "stages.0.data.sources.0.families=[stem]", "--rows", "2")
    assert learnt.count("[<think>]") == 2
    assert learnt.count("[<|im_end|>]") == 2
    asked = call(recipe, "rl", "rl.data.sources.0.families=[stem]", "--rows", "1")
    assert "[" not in asked.replace("[1m", "")
    assert asked.rstrip().endswith("assistant⏎")


def test_rows_that_only_a_run_makes(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["data", "show", "quickstart", "verifiable-rl"])
    assert result.exit_code == 2
    assert "difficulty-filter" in result.stderr
    result = CliRunner().invoke(app, ["data", "show", "quickstart", "verfiable-rl"])
    assert "did you mean verifiable-rl?" in result.stderr
