"""What no single key can know, refused with the arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.recipes_for_tests import SMALL, written

from configs.load import load_recipe
from halyard.errors import ConfigError

CASES = [
    ("warm-up.name=rl", "stages[1].name is rl, which stages[0] is called already"),
    (
        "rl.data.sources=[{type: stage, stage: warm-up}]",
        "expected the name of an earlier filter, harvest or hard_cases",
    ),
    ("rl.rewards.terms=[{type: judge}]", "no earlier sft stage with role: judge trains a judge"),
    ("warm-up.role=judge", "stages[0].model is missing: the judge's first stage says which model it starts from"),
    ("cluster.learner.tokens_per_pack=100", "is 100, but one sequence may have 128 tokens"),
    ("rl.sampling.max_tokens=128", "stages[1].sampling.max_tokens is 128: with the shortest prompt it is more than"),
    ("rl.data.max_prompt_tokens=105", "is 24: with 105 tokens of prompt (data.max_prompt_tokens) it is more than"),
    ("rl.algorithm.updates_per_step=3", "4 prompts x 4 samples = 16 sequences a step cannot be cut into 3 equal parts"),
    ("rl.sampling.temperature=0", "stages[1].sampling.temperature is 0: greedy answers"),
    ("rl.sampling.top_p=0.9", "stages[1].sampling.top_p is 0.9, expected 1"),
    ("rl.max_prompts_tried=0.5", "expected at least 1"),
    ("rl.optimizer.warmup_steps=3", "is 3, but the stage has only 2 optimiser steps"),
    ("warm-up.sequences_per_step=1 cluster.learner.ranks=2", "makes 1 sequences an optimiser step, too few for 2"),
    (
        "cluster.learner={ranks: 3, sequence_parallel: 2}",
        "is 2, but cluster.learner.ranks is 3: expected a divisor of it",
    ),
    (
        "warm-up.sequences_per_step=1 cluster.learner.ranks=4 cluster.learner.sequence_parallel=2",
        "makes 1 sequences an optimiser step, too few for groups of 2 of 4 learner ranks",
    ),
    ("rl.rewards.terms=[{type: answer, weight: 0}]", "all have weight 0"),
    ("rl.data.sources.0.families=[]", "families is an empty list"),
    ("cluster.engine.tensor_parallel=2", "cluster.engine.tensor_parallel is 2, but cluster.engine.cpus is 1"),
    ("cluster.engine.tensor_parallel=2 cluster.engine.gpus=1", "is 2, but cluster.engine.gpus is 1: expected the same"),
    ("cluster.engine.gpu_memory_utilization=1.5", "at most 1"),
    ("cluster.transfer=nccl", "moves weights between GPUs, but cluster.engine.gpus is 0"),
    ("cluster.engine.cpus=0", "cluster.engine.cpus is 0, and so is gpus"),
    ("evaluate={benchmarks: [{name: a, modes: [], data: {sources: [{type: synthetic}]}}]}", "modes is empty"),
    (
        "evaluate={benchmarks: [{name: a, data: {sources: [{type: synthetic}]}},"
        " {name: a, data: {sources: [{type: synthetic}]}}]}",
        "evaluate.benchmarks[1].name is a, which benchmarks[0] is called already",
    ),
]


@pytest.mark.parametrize(("overrides", "sentence"), CASES)
def test_contradictions(tmp_path: Path, overrides: str, sentence: str) -> None:
    several = overrides.split(" ") if "{" not in overrides else [overrides]
    with pytest.raises(ConfigError) as caught:
        load_recipe(written(tmp_path), several)
    assert sentence in str(caught.value)


MAKERS = """\
  - {name: f, type: filter, data: {sources: [{type: synthetic}]}, sampling: {max_tokens: 9}}
  - {name: h, type: harvest, stage: rl, direct: {sources: [{type: synthetic}]}}
  - name: c
    type: hard_cases
    data: {sources: [{type: stage, stage: f}]}
    general: {sources: [{type: stage, stage: h}]}
    sampling: {max_tokens: 9}
"""


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("f.samples=1", "one sample is right always or never"),
        ("h.last_steps=0", "no rollouts would be taken"),
        ("h.stage=warm-up", "is warm-up, expected the name of an earlier rl stage: before it there are rl"),
        ("c.max_pass_rate=0.2", "keeps no case: 0.2 of 4 samples is less than one"),
        ("f.name=filter", "is f, expected the name of an earlier filter, harvest or hard_cases stage: before it"),
        ("c.data.sources.0.stage=c", "is c, expected the name of an earlier filter, harvest or hard_cases stage"),
    ],
)
def test_makers_of_data(tmp_path: Path, override: str, sentence: str) -> None:
    path = written(tmp_path, SMALL + MAKERS)
    assert len(load_recipe(path).recipe.stages) == 5
    with pytest.raises(ConfigError) as caught:
        load_recipe(path, [override])
    assert sentence in str(caught.value)


def test_a_judge_that_is_trained_or_called_may_be_asked(tmp_path: Path) -> None:
    asked = "rl.rewards.terms=[{type: answer}, {type: judge}]"
    load_recipe(written(tmp_path), ["warm-up.role=judge", "warm-up.model={build: nano}", asked])
    load_recipe(written(tmp_path), ["rl.rewards.terms=[{type: judge, url: 'http://localhost:8000/v1'}]"])


@pytest.mark.parametrize(
    ("term", "sentence"),
    [
        ("model: other", "terms[1].model is other, but another term calls the judge that the pipeline trained judge"),
        ("url: 'http://x/v1', patience: 271", "patience is 271: with the timeout of 30 it is not less than cluster"),
        ("url: 'http://x/v1', budget: {money: 5}", "budget.money is set, but prices say nothing"),
    ],
)
def test_what_judges_may_not_be_told(tmp_path: Path, term: str, sentence: str) -> None:
    own = ["warm-up.role=judge", "warm-up.model={build: nano}"]
    with pytest.raises(ConfigError) as caught:
        load_recipe(written(tmp_path), [*own, f"rl.rewards.terms=[{{type: judge}}, {{type: judge, {term}}}]"])
    assert sentence in str(caught.value)


def test_several_contradictions_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(written(tmp_path), ["rl.sampling.temperature=0", "rl.optimizer.warmup_steps=30"])
    assert len(str(caught.value).splitlines()) == 2
