"""Overrides on the command line: any key, lists by index or name, stages by their names alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.recipes_for_tests import SMALL, written

from configs.load import load_recipe
from halyard.errors import ConfigError


def overridden(folder: Path, *overrides: str) -> dict[str, Any]:
    return load_recipe(written(folder), overrides).recipe.model_dump()


@pytest.mark.parametrize("key", ["stages.1.steps", "stages[1].steps", "stages.rl.steps", "rl.steps"])
def test_four_ways_to_say_a_stage(tmp_path: Path, key: str) -> None:
    assert overridden(tmp_path, f"{key}=7")["stages"][1]["steps"] == 7


def test_values_are_yaml(tmp_path: Path) -> None:
    found = overridden(
        tmp_path,
        "rl.optimizer.learning_rate=1e-6",
        "cluster.address=auto",
        "cluster.verify_weights=true",
        "rl.optimizer.betas=[0.8, 0.9]",
        "rl.rewards.terms=[{type: format}]",
        "description=no",
        "cluster.deadlines.start=5",
    )
    rl = found["stages"][1]
    assert rl["optimizer"]["learning_rate"] == 1e-6
    assert rl["optimizer"]["betas"] == (0.8, 0.9)
    assert rl["rewards"]["terms"][0]["type"] == "format"
    assert (found["cluster"]["address"], found["cluster"]["verify_weights"]) == ("auto", True)
    assert (found["description"], found["cluster"]["deadlines"]["start"]) == ("no", 5)


def test_the_last_one_counts_and_groups_are_kept(tmp_path: Path) -> None:
    found = overridden(tmp_path, "cluster.engine.cpus=2", "cluster.engine.cpus=3")
    assert found["cluster"]["engine"]["cpus"] == 3
    assert found["cluster"]["engine"]["max_model_len"] == 128


def test_a_model_folder_instead_of_a_built_one(tmp_path: Path) -> None:
    found = overridden(tmp_path, "model.build=null", "model.path=policy")
    assert found["model"] == {"build": None, "path": "policy"}


def test_a_path_that_is_there_is_seen_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    (here / "policy").mkdir(parents=True)
    monkeypatch.chdir(here)
    loaded = load_recipe(written(tmp_path), ["model={path: x}", "model.path=./policy"])
    assert loaded.recipe.model.path is not None
    assert loaded.resolve(loaded.recipe.model.path) == here / "policy"


def test_names_with_dots_are_stages_too(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL.replace("name: rl", "name: rl.v2"))
    assert load_recipe(path, ["rl.v2.sampling.max_tokens=9"]).recipe.stages[1].sampling.max_tokens == 9  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("rl.stps=3", "override rl.stps=3: stages[1].stps is not a known key; did you mean steps?"),
        ("rl.steps=many", 'stages[1].steps is "many", expected a whole number'),
        ("warm_up.steps=3", "warm_up is neither a key of recipes nor a stage; did you mean warm-up?"),
        ("stages.5.steps=3", "stages has no element 5, expected one of the names warm-up, rl"),
        ("stages.warmup.steps=3", "did you mean warm-up?"),
        ("rl.data.sources.3.rows=1", "stages[1].data.sources has no element 3, expected one of the indices 0 to 0"),
        ("model.build.size=3", 'model.build is "nano" and has no keys of its own'),
        ("rl.steps", "the override 'rl.steps' has the wrong form"),
        ("=3", "the override '=3' has the wrong form"),
        ("rl.steps=[1", "override rl.steps=[1:1: this is not YAML"),
        ("clustr.address=auto", "did you mean cluster?"),
    ],
)
def test_wrong_overrides(tmp_path: Path, override: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(written(tmp_path), [override])
    assert sentence in str(caught.value)
