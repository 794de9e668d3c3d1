"""A run with a policy of another vision-language family: fine from the preflight to the last snapshot."""

from __future__ import annotations

import shutil
from pathlib import Path

from support.commands import RECIPES, halyard, lines
from support.tiny_families import save_qwen3_vl


def test_it_is_trained_by_rl(tmp_path: Path) -> None:
    """Engine and learner agree on log-probs before and after each update, over two processes of the engine."""
    recipe = tmp_path / "recipes" / "family.yaml"
    shutil.copytree(RECIPES, recipe.parent)
    shutil.copytree(RECIPES.parent / "rewards", tmp_path / "rewards")
    save_qwen3_vl(recipe.parent / "policy")
    result = halyard("run", str(recipe), "--runs", str(tmp_path), "--name", "run", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    steps = lines(tmp_path / "run" / "stages" / "01-rl" / "metrics.jsonl")
    assert [line["step"] for line in steps] == [1, 2]
    for line in steps:
        assert line["drift"] < 1e-3, line
        assert line["grad_norm"] > 0, line
    (snapshot,) = (tmp_path / "run" / "snapshots").glob("01-rl*")
    assert (snapshot / "preprocessor_config.json").exists()
