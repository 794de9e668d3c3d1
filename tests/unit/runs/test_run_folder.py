"""A run on disk: one driver, one recipe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from configs.recipe import Recipe
from halyard.errors import ConfigError
from halyard.runs.folder import RunFolder, fingerprint


def recipe(**changes: object) -> Recipe:
    sft = {"name": "basic", "type": "sft", "steps": 3, "data": {"sources": [{"type": "synthetic"}]}}
    return Recipe.model_validate({"name": "tiny", "model": {"build": "nano"}, "stages": [sft], **changes})


def test_a_run_says_what_it_is(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "a", recipe())
    content = json.loads((run.path / "recipe.json").read_text())
    assert content["recipe"]["stages"][0]["steps"] == 3
    assert {"python", "torch", "ray", "transformers"} <= content["versions"].keys()
    assert [event["event"] for event in RunFolder.open(run.path).events()] == ["created"]
    assert run.stage(1, "basic").path == run.path / "stages" / "01-basic"


def test_a_name_is_used_once(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "a", recipe())
    with pytest.raises(ConfigError, match="--resume"):
        RunFolder.create(tmp_path, "a", recipe())


def test_what_is_no_run_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no run"):
        RunFolder.open(tmp_path)


def test_another_recipe_is_refused_with_the_keys(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "a", recipe())
    run.same_recipe(recipe())
    with pytest.raises(ConfigError, match="seed: was 0, now 1"):
        run.same_recipe(recipe(seed=1))
    assert fingerprint(recipe()) == fingerprint(recipe()) != fingerprint(recipe(seed=1))


def test_one_driver_a_run(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "a", recipe())
    code = (
        "import sys; from pathlib import Path; from halyard.runs.folder import RunFolder\n"
        "with RunFolder.open(Path(sys.argv[1])).lock(): print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(ConfigError, match=f"process {other.pid}"), run.lock():
            pass
        other.kill()
        other.wait()
        with run.lock():
            pass
