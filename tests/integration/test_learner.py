"""A learner of two ranks in Ray actors, as the trainers use it: steps, resets, files, refusals, deaths."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytest_asyncio
import torch
from safetensors.torch import load_file
from support.training import likelihood, sequences, slow_likelihood, train_by_the_book

from configs.cluster import ClusterConfig, LearnerConfig
from configs.training import OptimizerConfig
from halyard.cluster.cluster import Cluster
from halyard.cluster.digests import digest
from halyard.cluster.learner import Learner
from halyard.cluster.types import TrainSequence
from halyard.errors import ConfigError, LearnerError, SnapshotError
from model.build import build
from model.load import load_policy, load_processor

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPTIMIZER = OptimizerConfig(learning_rate=1e-3, weight_decay=0.1, max_grad_norm=0.5, eps=1e-6)
IMAGES = [True, False, False]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "nano"
    build("nano", path, seed=2)
    return path


@pytest.fixture(scope="module")
def steps(policy: Path) -> list[list[TrainSequence]]:
    return [sequences(policy, 16, images=IMAGES, seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(logs: Path) -> AsyncIterator[Cluster]:
    """Packs of 256 tokens: a step is several micro-batches on each rank."""
    learner = LearnerConfig(ranks=2, zero_stage=2, tokens_per_pack=256)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # the ranks import the tests' loss functions
        async with await Cluster.start(ClusterConfig(learner=learner, placement="sharing"), logs=logs) as cluster:
            yield cluster


async def fresh(cluster: Cluster, policy: Path, optimizer: OptimizerConfig = OPTIMIZER) -> Learner:
    """The learner of two ranks, set anew: the processes stay."""
    return await cluster.learner(policy, optimizer, steps=10, seed=3)


async def test_updates_are_those_of_plain_pytorch(cluster: Cluster, policy: Path, steps, tmp_path: Path) -> None:
    reference = train_by_the_book(policy, steps, OPTIMIZER, temperature=1.0)
    learner = await fresh(cluster, policy)
    updates = [await learner.update(step, likelihood) for step in steps]
    assert [update.version for update in updates] == [1, 2, 3]
    assert [update.loss for update in updates] == pytest.approx(reference.losses, rel=1e-5)
    assert [update.grad_norm for update in updates] == pytest.approx(reference.norms, rel=2e-4)
    tokens = sum(len(sequence.token_ids) for sequence in steps[0])
    assert (updates[0].tokens, updates[0].loss_tokens, updates[0].sequences) == (tokens, 16 * 12, 16)
    assert updates[0].packs >= 4
    assert updates[0].metrics["entropy"] > 0
    assert updates[0].learning_rate == 1e-3
    assert updates[0].seconds.keys() == {"pack", "forward", "backward", "optimizer"}
    await learner.save_snapshot(tmp_path / "snapshot")
    saved = load_file(tmp_path / "snapshot" / "model.safetensors")
    for name, expected in reference.weights.items():
        torch.testing.assert_close(saved[name], expected, atol=2e-5, rtol=0, msg=name)


async def test_a_snapshot_is_a_model_folder_of_its_own(cluster: Cluster, policy: Path, steps, tmp_path: Path) -> None:
    learner = await fresh(cluster, policy)
    await learner.update(steps[0], likelihood)
    await learner.save_snapshot(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in policy.iterdir()}
    saved = load_policy(tmp_path, dtype=torch.float32)
    tensors = load_file(tmp_path / "model.safetensors")
    assert {name: digest(tensor) for name, tensor in tensors.items()} == await learner.checksums()
    assert load_processor(tmp_path).eos_token_id == load_processor(policy).eos_token_id
    (found,) = await learner.logprobs(steps[1][:1])
    ids, pixels = torch.from_numpy(steps[1][0].token_ids)[None], torch.from_numpy(steps[1][0].pixel_values)
    with torch.no_grad():
        logits = saved(ids, position_ids=torch.arange(ids.shape[1])[None], pixel_values=pixels).logits[0, :-1]
    expected = torch.log_softmax(logits, -1).gather(-1, ids[0, 1:, None])[:, 0]
    np.testing.assert_allclose(found[1:], expected.numpy(), atol=1e-4)


async def test_a_reset_learner_is_as_new(cluster: Cluster, policy: Path, steps) -> None:
    learner = await fresh(cluster, policy)
    first = [await learner.update(step, likelihood) for step in steps[:2]]
    pids = learner_pids()
    learner = await fresh(cluster, policy)
    again = [await learner.update(step, likelihood) for step in steps[:2]]
    assert learner_pids() == pids
    assert [update.loss for update in again] == [update.loss for update in first]


async def test_log_probs_come_in_the_order_asked(cluster: Cluster, policy: Path, steps) -> None:
    learner = await fresh(cluster, policy)
    every = await learner.logprobs(steps[0], temperature=0.7)
    (alone,) = await learner.logprobs(steps[0][5:6], temperature=0.7)
    assert [len(one) for one in every] == [len(sequence.token_ids) for sequence in steps[0]]
    np.testing.assert_allclose(every[5], alone, atol=1e-5)
    await learner.freeze_reference()
    await learner.update(steps[0], likelihood)
    frozen = await learner.reference_logprobs(steps[0], temperature=0.7)
    assert all(np.array_equal(a, b) for a, b in zip(every, frozen, strict=True))
    sums = await learner.evaluate(steps[0], likelihood)
    assert sums["loss"] == pytest.approx((await learner.update(steps[0], likelihood)).loss, rel=1e-6)


async def test_a_frozen_part_stays_and_its_gradient_is_not_asked_for(cluster: Cluster, policy: Path, steps) -> None:
    learner = await fresh(cluster, policy, OPTIMIZER.model_copy(update={"freeze": ("vision_model",)}))
    before = await learner.checksums()
    await learner.update(steps[0], likelihood)
    after = await learner.checksums()
    assert {name for name in before if before[name] == after[name]} == {
        n for n in before if n.startswith("vision_model")
    }
    report = await learner.gradient_report()
    assert not any(name.startswith("vision_model") for name in report)
    assert all(norm > 0 for norm in report.values())


async def test_a_checkpoint_resumes_to_the_same_bits(cluster: Cluster, policy: Path, steps, tmp_path: Path) -> None:
    learner = await fresh(cluster, policy)
    await learner.update(steps[0], likelihood)
    await learner.save_checkpoint(tmp_path)
    await learner.update(steps[1], likelihood)
    uninterrupted = await learner.checksums()
    learner = await fresh(cluster, policy)
    await learner.load_checkpoint(tmp_path)
    assert learner.version == 1
    await learner.update(steps[1], likelihood)
    assert await learner.checksums() == uninterrupted


async def test_a_damaged_checkpoint_is_refused_by_name(cluster: Cluster, policy: Path, tmp_path: Path) -> None:
    learner = await fresh(cluster, policy)
    await learner.save_checkpoint(tmp_path)
    with (tmp_path / "state.safetensors").open("r+b") as file:
        file.seek(5000)
        byte = file.read(1)[0]
        file.seek(5000)
        file.write(bytes([byte ^ 4]))
    with pytest.raises(SnapshotError, match=r"state\.safetensors is damaged"):
        await learner.load_checkpoint(tmp_path)


async def test_users_mistakes_are_told_as_such(cluster: Cluster, policy: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean vision_model"):
        await fresh(cluster, policy, OPTIMIZER.model_copy(update={"freeze": ("vision_modle",)}))
    with pytest.raises(SnapshotError, match="there is no model folder"):
        await fresh(cluster, tmp_path / "nowhere")
    learner = await fresh(cluster, policy)
    with pytest.raises(LearnerError, match="no sequences"):
        await learner.update([], likelihood)
    with pytest.raises(LearnerError, match="freeze_reference has not been called"):
        await learner.reference_logprobs(sequences(policy, 2, images=[False], seed=0))


async def test_a_loss_that_is_no_number_is_refused_and_a_reset_helps(cluster: Cluster, policy: Path, steps) -> None:
    learner = await fresh(cluster, policy)
    before = await learner.checksums()
    spoilt = [replace(steps[0][0], weights=np.where(steps[0][0].loss_mask, np.inf, 0.0)), *steps[0][1:]]
    with pytest.raises(LearnerError, match=r"no weight has changed: rank \d: the loss is"):
        await learner.update(spoilt, likelihood)
    assert await learner.checksums() == before
    assert learner.version == 0
    with pytest.raises(LearnerError, match="reset the learner"):
        await learner.update(steps[0], likelihood)
    learner = await fresh(cluster, policy)
    assert (await learner.update(steps[0], likelihood)).version == 1


async def test_output_goes_to_the_log_folder(cluster: Cluster, policy: Path, logs: Path) -> None:
    await fresh(cluster, policy)
    assert {f"learner-policy-{rank}.log" for rank in range(2)} <= {file.name for file in logs.iterdir()}


async def test_the_death_of_a_rank_is_told_at_once(cluster: Cluster, policy: Path, steps) -> None:
    """Last, for it ends the learner."""
    learner = await fresh(cluster, policy)
    step = asyncio.create_task(learner.update(steps[0], slow_likelihood))
    await asyncio.sleep(2)
    killed = time.monotonic()
    os.kill(learner_pids()[0], signal.SIGKILL)
    with pytest.raises(LearnerError, match=r"learner-policy-\d died: its process is gone\. Its log: .*learner-policy"):
        await step
    with pytest.raises(LearnerError, match="died"):  # the other rank was not left waiting
        await learner.checksums()
    assert time.monotonic() - killed < 10


def learner_pids() -> list[int]:
    """The ranks' processes."""
    children = psutil.Process().children(recursive=True)
    return sorted(child.pid for child in children if any("LearnerRank" in part for part in child.cmdline()))
