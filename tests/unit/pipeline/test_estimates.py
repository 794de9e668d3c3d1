"""The arithmetic of the header, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from configs.recipe import Recipe
from configs.stages import RlStage, SftStage
from halyard.errors import SnapshotError
from halyard.pipeline.estimates import GIB, human, load_of, memory, parameters

DATA = {"sources": [{"type": "synthetic"}]}


def recipe(**cluster: object) -> Recipe:
    sft = {"name": "basic", "type": "sft", "steps": 3, "data": DATA}
    return Recipe.model_validate({"name": "tiny", "model": {"build": "nano"}, "stages": [sft], "cluster": cluster})


def test_an_rl_step() -> None:
    stage = RlStage.model_validate(
        {
            "name": "rl",
            "data": DATA,
            "steps": 100,
            "prompts_per_step": 32,
            "group_size": 8,
            "algorithm": {"updates_per_step": 2},
        }
    )
    load = load_of(stage, recipe(engine={"max_model_len": 500}).cluster)
    assert (load.sequences_per_step, load.tokens_per_step) == (256, 128_000)
    assert load.optimizer_steps == 200
    assert str(load) == "256 sequences a step (at most 128,000 tokens), 200 optimiser steps"


def test_an_sft_step() -> None:
    stage = SftStage.model_validate({"name": "sft", "data": DATA, "steps": 10, "sequences_per_step": 64})
    load = load_of(stage, recipe(learner={"tokens_per_pack": 1000}).cluster)
    assert (load.sequences_per_step, load.tokens_per_step, load.optimizer_steps) == (64, 64_000, 10)


@pytest.mark.parametrize(
    ("learner", "bytes_each"),
    [
        ({"zero_stage": 0}, 4 + 4 + 8),
        ({"zero_stage": 3, "ranks": 4}, (4 + 4 + 8) / 4),
        ({"zero_stage": 2, "ranks": 4, "dtype": "bfloat16"}, 2 + (2 + 12) / 4),
        ({"zero_stage": 1, "ranks": 2, "dtype": "bfloat16"}, 2 + 2 + 12 / 2),
    ],
)
def test_memory_of_a_rank(learner: dict[str, object], bytes_each: float) -> None:
    rank, _ = memory(recipe(learner=learner), 10**9)
    assert rank == pytest.approx(bytes_each * 10**9 / GIB)


def test_memory_of_an_engine() -> None:
    _, engine = memory(recipe(engine={"kv_cache_gib": 3.0, "dtype": "bfloat16"}), 2**30)
    assert engine == pytest.approx(2 + 3)
    two = {"cpus": 2, "tensor_parallel": 2}
    _, spread = memory(recipe(engine={"kv_cache_gib": 3.0, "dtype": "bfloat16"} | two), 2**30)
    assert spread == pytest.approx(2 + 3)


def test_parameters_are_counted_from_the_files(tmp_path: Path) -> None:
    save_file({"a": np.zeros((3, 5), np.float32), "b": np.zeros(7, np.float32)}, tmp_path / "model-1.safetensors")
    save_file({"c": np.zeros((), np.float32)}, tmp_path / "model-2.safetensors")
    assert parameters(tmp_path) == 15 + 7 + 1
    with pytest.raises(SnapshotError, match="holds no weights"):
        parameters(tmp_path / "nowhere")


def test_counts_in_words() -> None:
    assert [human(count) for count in (812, 1_300_000, 8.19e9)] == ["812", "1.3 M", "8.2 B"]
