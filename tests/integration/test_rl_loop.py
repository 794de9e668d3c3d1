"""The RL loop over the real engine, learner, renderer and rewards: it starts, resumes to the same bits, overlaps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.rl_stage import control, without_times

from configs.cluster import ClusterConfig
from configs.data import DataConfig
from configs.stages import EvaluateConfig, RlStage
from halyard.cluster.cluster import Cluster
from halyard.data.mixture import Mixture
from halyard.data.sources import load
from halyard.errors import Interrupted
from halyard.runs.orders import give
from halyard.runs.stage import StageFolder
from model.build import build
from model.load import load_processor
from rewards.scorer import Scorer
from rl.loop import train
from rl.session import RlSession

CONFIG = ClusterConfig.model_validate(
    {
        "placement": "sharing",
        "engine": {"cpus": 2, "max_model_len": 256, "max_num_seqs": 64, "kv_cache_gib": 0.25},
        "learner": {"cpus": 2, "tokens_per_pack": 2048},
    }
)
# A policy with random weights never answers right: the reward is its length, which is signal enough.
LENGTH = """
from halyard import Sample, reward


@reward
def length(sample: Sample) -> float:
    return len(sample.response) / 32
"""


BENCHMARKS = EvaluateConfig.model_validate(
    {"benchmarks": [{"name": "sums", "data": {"sources": [{"type": "synthetic"}]}, "sampling": {"max_tokens": 8}}]}
)


def recipe(path: Path, **fields: Any) -> RlStage:
    defaults = {
        "name": "rl",
        "type": "rl",
        "data": {
            "sources": [
                {"type": "synthetic", "families": ["sum", "stem"], "rows": 40},
                {"type": "jsonl", "path": str(path / "clips.jsonl")},
            ],
            "video_frames": 3,
        },
        "steps": 3,
        "prompts_per_step": 4,
        "group_size": 4,
        "direct_share": 0.25,
        "sampling": {"max_tokens": 16},
        "algorithm": {"preset": "grpo", "overlong": "keep"},
        "rewards": {"terms": [{"type": "python", "path": str(path / "length.py"), "name": "length"}]},
        "optimizer": {"learning_rate": 1e-3},
        "held_out": {"every": 2, "rows": 3},
        "checkpoint": {"every": 1},
    }
    return RlStage.model_validate(defaults | fields)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy")
    build("nano", path / "nano", seed=0)
    (path / "length.py").write_text(LENGTH)
    frames = [Image.new("RGB", (60, 60), colour) for colour in ("red", "green", "blue", "white", "black")]
    frames[0].save(path / "clip.gif", save_all=True, append_images=frames[1:], duration=500)
    rows = [{"id": f"clip-{n}", "prompt": "Which?", "videos": "clip.gif", "answer": str(n)} for n in range(8)]
    (path / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@asynccontextmanager
async def session(
    cluster: Cluster, stage: RlStage, policy: Path, folder: Path, **parts: Any
) -> AsyncIterator[RlSession]:
    start, seed = policy / "nano", 7
    renderer = load_processor(start)
    dataset = load(
        DataConfig.model_validate(stage.data.model_dump()),
        renderer=renderer,
        root=policy,
        stage_rows=lambda name: policy,
    )
    learner = await cluster.learner(start, stage.optimizer, steps=stage.steps, seed=seed)
    scorer = await Scorer.start(stage.rewards, root=policy)
    try:
        yield RlSession(
            engine=await cluster.engine("policy", start),
            learner=learner,
            renderer=renderer,
            scorer=scorer,
            prompts=Mixture(dataset, seed=seed),
            folder=StageFolder(folder),
            restart_engine=lambda: cluster.restart_engine("policy"),
            window=CONFIG.engine.max_model_len,
            precision=CONFIG.learner.dtype,
            deadlines=CONFIG.deadlines,
            progress=parts.get("progress", lambda step, total, figures: None),
            event=lambda kind, **fields: print(kind, fields),
            stop=parts.get("stop", asyncio.Event()),
            control=control(folder, stage),
            seed=seed,
            benchmarks=BENCHMARKS,
            held_out={"sums": dataset.rows},
        )
    finally:
        await scorer.close()


async def test_on_policy_overlapping_and_resumed(policy: Path, tmp_path: Path) -> None:
    """One cluster for all three, since it is what takes the time."""
    cluster = await Cluster.start(CONFIG, logs=tmp_path / "logs")
    try:
        stage = recipe(policy)
        async with session(cluster, stage, policy, tmp_path / "whole") as whole:
            await train(stage, whole)
            weights = await whole.learner.checksums()
        lines = whole.folder.metrics()
        assert [line["step"] for line in lines] == [1, 2, 3]
        assert all(line["drift"] < 1e-3 for line in lines)
        assert all(line["staleness_max"] == 0 for line in lines)
        assert [line["held_out"] and line["held_out"]["answers"] for line in lines] == [None, 6, None]  # in both modes
        shown = [one for one in whole.folder.read_rollouts() if one.prompt_id.startswith("clip-")]
        assert shown
        placeholder = whole.renderer.image_token_id
        assert {one.prompt_token_ids.count(placeholder) for one in shown} == {3 * 16}  # frames, visual tokens of each

        stop = asyncio.Event()
        stopped = {"progress": lambda step, total, figures: stop.set(), "stop": stop}
        async with session(cluster, stage, policy, tmp_path / "halves", **stopped) as first:
            with pytest.raises(Interrupted):
                await train(stage, first)
        async with session(cluster, stage, policy, tmp_path / "halves") as second:
            await train(stage, second)
            assert await second.learner.checksums() == weights
        resumed = [without_times(line) for line in second.folder.metrics()]
        assert [line["loss"] for line in resumed] == [line["loss"] for line in lines]
        assert [line["held_out"] for line in resumed] == [line["held_out"] for line in lines]

        stage = recipe(policy, max_staleness=1, algorithm={"preset": "dapo", "overlong": "keep"})
        folder = tmp_path / "overlapping"

        def faster(step: int, total: int, figures: object) -> None:
            if step == 1:
                give(folder, "set", who="ops", stage=stage.name, key="optimizer.learning_rate", value=2e-3)

        async with session(cluster, stage, policy, folder, progress=faster) as overlapping:
            with overlapping.control.run.lock():
                await train(stage, overlapping)
        assert [line["learning_rate"] for line in overlapping.folder.metrics()] == [1e-3, 2e-3, 2e-3]
        assert [line["staleness_max"] for line in overlapping.folder.metrics()] == [0, 1, 1]
        assert all(line["engine_drift"] < 1e-3 for line in overlapping.folder.metrics())
    finally:
        await cluster.close()
