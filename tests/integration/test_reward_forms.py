"""Rewards of every form through the scorer, with real processes: one sample, batches, groups, foreign, slow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.samples import direct

from configs.rewards import RewardsConfig
from halyard.data.types import Verdict
from rewards.sample import Sample
from rewards.scorer import Scorer

FILE = '''
import asyncio, os, time
from halyard import Sample, Verdict, reward

@reward
def single(sample: Sample, scale: float = 1.0) -> float:
    return scale * len(sample.response)

@reward(batch=True)
def batch(samples: list[Sample]) -> list[Verdict]:
    return [Verdict(reward=float(place), components={"of": float(len(samples))}) for place in range(len(samples))]

@reward(group=True)
def shortest(samples):
    """1 for the shortest of a group."""
    least = min(len(one.response) for one in samples)
    assert len({one.prompt for one in samples}) == 1
    return [float(len(one.response) == least) for one in samples]

@reward(group=True)
async def shortest_later(samples):
    await asyncio.sleep(0.01)
    return shortest(samples)

@reward(inline=True)
def here(sample: Sample) -> float:
    return float(os.getpid())

@reward(batch=True)
def too_few(samples):
    return [1.0]

@reward
def slow(sample: Sample) -> float:
    time.sleep(1.0)
    return 1.0

@reward(batch=True)
def hanging(samples):
    while True: pass

@reward
async def waiting(sample: Sample) -> float:
    await asyncio.sleep(5)
    return 1.0
'''
VERL = """
def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    return ground_truth in solution_str
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "theirs.py").write_text(VERL)
    return tmp_path


SAMPLES = [direct("555"), direct("55", prompt="q"), direct("5"), direct("6666", prompt="q")]


async def score(root: Path, *terms: dict[str, Any], samples: list[Sample] = SAMPLES, **config: Any) -> list[Verdict]:
    recipe = RewardsConfig.model_validate({"terms": terms, "max_failure_share": 1.0, **config})
    scorer = await Scorer.start(recipe, root=root)
    try:
        return await scorer.score(samples)
    finally:
        await scorer.close()


def named(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "reward", "name": f"mine.py:{name}", **fields}


async def test_one_sample_a_batch_and_groups(root: Path) -> None:
    verdicts = await score(
        root,
        named("single", parameters={"scale": 2}),
        named("batch"),
        named("shortest"),
        named("shortest_later"),
        {"type": "reward", "name": "theirs.py", "label": "verl"},
    )
    found = [verdict.components for verdict in verdicts]
    assert [one["single"] for one in found] == [6, 4, 2, 8]
    assert [one["batch"] for one in found] == [0, 1, 2, 3]
    assert [one["batch.of"] for one in found] == [4, 4, 4, 4]
    assert [one["shortest"] for one in found] == [one["shortest_later"] for one in found] == [0, 1, 1, 0]
    assert [one["verl"] for one in found] == [1, 1, 1, 0]


async def test_the_same_prompt_may_have_two_groups(root: Path) -> None:
    samples = [direct("555", group_id="1"), direct("55", group_id="1"), direct("5", group_id="2")]
    verdicts = await score(root, named("shortest"), samples=samples)
    assert [verdict.reward for verdict in verdicts] == [0, 1, 1]


async def test_what_is_inline_runs_here(root: Path) -> None:
    (verdict, *_) = await score(root, named("here"))
    assert verdict.reward == os.getpid()


async def test_a_list_of_another_length_fails_all(root: Path) -> None:
    verdicts = await score(root, named("too_few"))
    said = "bad value: too_few returned a list of another length: 1 for 4"
    assert [verdict.failures for verdict in verdicts] == [{"too_few": said}] * 4


async def test_a_term_has_a_timeout_of_its_own(root: Path) -> None:
    one = [direct("5")]
    (given,) = await score(root, named("slow", timeout=10.0), samples=one, deadline=0.1)
    assert given.reward == 1.0
    (killed,) = await score(root, named("slow"), samples=one, deadline=0.1)
    assert killed.failures["slow"].startswith("timeout: ")
    (late,) = await score(root, named("waiting", timeout=0.1), samples=one)
    assert late.failures["waiting"] == "timeout: waiting took longer than its 0.1 s"


async def test_a_batch_that_hangs_is_killed_and_fails_all(root: Path) -> None:
    verdicts = await score(root, named("hanging", timeout=0.1))
    assert {verdict.failures["hanging"].partition(":")[0] for verdict in verdicts} == {"timeout"}
