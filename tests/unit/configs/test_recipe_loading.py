"""Recipes are read whole or refused whole: every fault with its line, what was expected, the nearest valid name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.recipes_for_tests import SMALL, written

from configs.load import SHIPPED, find_recipe, load_recipe, shipped
from configs.stages import SftStage
from halyard.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


def refusal(*arguments: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_recipe(*arguments)  # type: ignore[arg-type]
    return str(caught.value).splitlines()


FOLDERS = ("configs/recipes", "tests", "bench", "docs")
RECIPES = [path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.yaml")]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_the_repository_loads(path: Path) -> None:
    assert load_recipe(str(path)).recipe.stages


def test_shipped_recipes_go_by_name() -> None:
    assert shipped().keys() == {path.stem for path in SHIPPED.glob("*.yaml")}
    assert all(load_recipe(name).recipe.name == name for name in shipped())
    assert load_recipe("quickstart").root == SHIPPED


def test_paths_start_from_the_recipes_folder(tmp_path: Path) -> None:
    loaded = load_recipe(written(tmp_path))
    assert loaded.resolve("data/x.jsonl") == tmp_path / "data" / "x.jsonl"
    assert loaded.resolve("/data/x.jsonl") == Path("/data/x.jsonl")


def test_defaults_and_types() -> None:
    recipe = load_recipe("quickstart").recipe
    first = recipe.stages[0]
    assert isinstance(first, SftStage)
    assert first.optimizer.learning_rate == 2.5e-3
    assert isinstance(first.data.sources, tuple)
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 3  # type: ignore[misc]


def test_an_unknown_recipe_offers_the_nearest_name() -> None:
    assert "did you mean quickstart?" in refusal("quickstrat")[0]
    assert "quickstart" in refusal("zzz")[0]
    assert "no recipe file nowhere/x.yaml" in refusal("nowhere/x.yaml")[0]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nmae: x", "nmae is not a known key; did you mean name?"),
        ("learning_rate: 1", "learning_rate is not a known key"),
        ("cluster: {engine: {cpu: 2}}", "cluster.engine.cpu is not a known key; did you mean cpus?"),
        ("seed: -1", "seed is -1, expected at least 0"),
        ("seed: '1'", 'seed is "1", expected a whole number'),
        ("seed: true", "seed is true, expected a whole number"),
        ("seed: 1.0", "seed is 1.0, expected a whole number"),
        ("minutes: .nan", "minutes is NaN, expected a finite number"),
        ("minutes: yes", 'minutes is "yes", expected a number'),
        ("minutes: 0", "minutes is 0, expected more than 0"),
        ("evaluate: []", "evaluate is a list of 0, expected keys with values"),
        ("description: 3", "description is 3, expected text"),
        ("evaluate: {benchmarks: 3}", "evaluate.benchmarks is 3, expected a list"),
    ],
)
def test_faults_name_line_key_found_and_expected(tmp_path: Path, line: str, fault: str) -> None:
    path = written(tmp_path, SMALL.replace("cluster:\n", "#\n").replace("  engine:", "#").replace("  learner:", "#"))
    Path(path).write_text(line + "\n" + Path(path).read_text())
    assert refusal(path)[0].startswith(f"{path}:1: {fault}")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("steps: 4", "stps: 4", "stages[0].stps is not a known key; did you mean steps?"),
        ("steps: 4", "steps: 4\n    learning_rate: 1e-6", "did you mean optimizer.learning_rate?"),
        (
            "steps: 4",
            "steps: 4\n    optimizer: {learningrate: 1}",
            "stages[0].optimizer.learningrate is not a known key",
        ),
        ("steps: 4", "steps: 4\n    optimizer: {betas: [0.9]}", "stages[0].optimizer.betas[1] is missing"),
        ("type: sft", "type: sfd", "stages[0] has type sfd, expected sft, rl, filter"),
        ("type: sft", "role: policy", "stages[0] has no type"),
        ("type: synthetic, rows: 8", "type: jsonl", "stages[0].data.sources[0].path is missing"),
        ("build: nano", "build: nanno", 'model.build is "nanno", expected nano, micro, micro-tiles, '),
        ("build: nano", "build: nano, path: x", "model is wrong: give exactly one of build"),
        ("build: nano", "", "model is wrong: give exactly one of build"),
        ("name: warm-up", "name: Warm Up", 'stages[0].name is "Warm Up", expected a name of lower-case letters'),
        ("name: warm-up", "name: ../up", 'stages[0].name is "../up"'),
        ("group_size: 4", "group_size: 1", "stages[1].group_size is 1, expected at least 2"),
    ],
)
def test_faults_in_stages(tmp_path: Path, old: str, new: str, fault: str) -> None:
    lines = refusal(written(tmp_path, SMALL.replace(old, new, 1)))
    assert any(fault in line for line in lines), lines


def test_all_faults_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = SMALL.replace("name: small", "nam: small").replace("steps: 4", "steps: 4\n    steps: 5\n    data2: 1")
    lines = refusal(written(tmp_path, text.replace("max_tokens: 24", "max_tokens: 2.5")))
    assert [line.split(":")[1] for line in lines] == ["1", "1", "9", "11", "19"]
    assert "is given twice" in lines[2]


def test_wrong_stages_are_not_said_to_be_too_few(tmp_path: Path) -> None:
    text = SMALL.replace("type: sft", "type: s").replace("type: rl", "type: r")
    assert len(refusal(written(tmp_path, text))) == 2


def test_no_recipe_at_all(tmp_path: Path) -> None:
    assert "this is no recipe" in refusal(written(tmp_path, ""))[0]
    assert "this is no recipe" in refusal(written(tmp_path, "- a\n- b"))[0]


def test_a_file_without_suffix_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").write_text(SMALL)
    assert find_recipe("mine") == tmp_path / "mine"


def test_loading_a_recipe_loads_nothing_heavy() -> None:
    code = "import sys, configs.load as l, configs.surroundings; l.load_recipe('quickstart');" + (
        "print([m for m in ('torch', 'ray', 'vllm', 'transformers', 'numpy') if m in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert result.stdout.strip() == "[]"
