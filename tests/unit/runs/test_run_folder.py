"""A run on disk: one driver, one recipe."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def older(run: RunFolder, change: Callable[[dict[str, Any]], object]) -> RunFolder:
    """The run, with the recipe that an earlier version would have written."""
    path = run.path / "recipe.json"
    content = json.loads(path.read_text())
    change(content["recipe"])
    path.write_text(json.dumps(content))
    return RunFolder.open(run.path)


def test_a_key_that_is_new_since_is_taken_with_its_default_and_told(tmp_path: Path) -> None:
    run = older(RunFolder.create(tmp_path, "a", recipe()), lambda old: old["cluster"].pop("transfer"))
    loaded = run.loaded().recipe
    assert loaded == recipe()
    run.same_recipe(loaded)
    run.take_new_keys(loaded)
    run.take_new_keys(loaded)
    told = [event for event in run.events() if event["event"] == "keys_added"]
    assert [event["keys"] for event in told] == [{"cluster.transfer": "auto"}]
    assert json.loads((run.path / "recipe.json").read_text())["recipe"] == recipe().model_dump(mode="json")


def test_a_new_key_that_the_recipe_sets_otherwise_is_another_recipe(tmp_path: Path) -> None:
    run = older(RunFolder.create(tmp_path, "a", recipe()), lambda old: old.pop("seed"))
    with pytest.raises(ConfigError, match="seed: was 0, now 1"):
        run.same_recipe(recipe(seed=1))


def test_a_key_that_is_gone_or_renamed_is_refused_by_name(tmp_path: Path) -> None:
    def rename(old: dict[str, Any]) -> None:
        old["stages"][0]["step_count"] = old["stages"][0].pop("steps")

    run = older(RunFolder.create(tmp_path, "a", recipe()), rename)
    for look in (run.loaded, lambda: run.same_recipe(recipe())):
        with pytest.raises(ConfigError) as caught:
            look()
        message = str(caught.value)
        assert "started by another version of Halyard" in message
        assert "stages[0].steps is missing; stages[0].step_count is not a known key" in message
        assert "\n" not in message
    assert [event["event"] for event in run.events()] == ["created"]


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
