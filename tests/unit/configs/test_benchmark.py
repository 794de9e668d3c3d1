"""Benchmarks by themselves: one of a recipe's, and files, right and wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.benchmark import load_benchmark
from configs.load import load_recipe
from halyard.errors import ConfigError

GOOD = """\
name: held-out
seed: 7
engine: {max_model_len: 64}
data: {sources: [{type: jsonl, path: rows.jsonl}]}
sampling: {max_tokens: 16}
"""


def test_a_recipes_benchmark_comes_with_its_cluster_and_seed() -> None:
    recipe = load_recipe("quickstart").recipe
    found = load_benchmark("quickstart:general")
    assert found.benchmark == recipe.evaluate.benchmarks[1]
    assert (found.cluster, found.seed) == (recipe.cluster, recipe.seed)


def test_a_files_paths_start_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "held-out.yaml").write_text(GOOD)
    found = load_benchmark(str(tmp_path / "held-out.yaml"))
    assert (found.benchmark.name, found.seed, found.root) == ("held-out", 7, tmp_path)
    assert found.cluster.engine.max_model_len == 64
    assert found.told()["data"]["sources"][0]["path"] == "rows.jsonl"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (GOOD.replace("sampling", "samplin"), "held-out.yaml:5: samplin is not a known key; did you mean sampling?"),
        (GOOD.replace("name: held-out\n", ""), "name is missing"),
        (
            GOOD.replace("16", "64"),
            "max_tokens is 64: with the shortest prompt it is more than engine.max_model_len, 64",
        ),
        (GOOD + "modes: []\n", "held-out.yaml:6: modes is empty, expected thinking, direct or both"),
        (GOOD.replace("jsonl, path: rows.jsonl", "synthetic, families: []"), "families is an empty list"),
        (GOOD.replace("jsonl, path: rows.jsonl", "stage, stage: sift"), "is stage, expected a source of its own"),
        ("- a list\n", "this is no benchmark"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, wrong: str, told: str) -> None:
    (tmp_path / "held-out.yaml").write_text(wrong)
    with pytest.raises(ConfigError) as caught:
        load_benchmark(str(tmp_path / "held-out.yaml"))
    assert told in str(caught.value)
