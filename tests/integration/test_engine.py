"""One engine of each kind, started once: what it computes, what new weights do to it, and how it dies."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytest_asyncio
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from support.tiny import save_qwen3_moe

from configs.cluster import ClusterConfig, EngineConfig
from configs.training import OptimizerConfig
from halyard.cluster.cluster import Cluster
from halyard.cluster.engine import Engine
from halyard.cluster.processes import MARK
from halyard.cluster.transfer import publish
from halyard.cluster.types import Completion, GenerationRequest, LossFunction, LossInputs, LossOutput, TrainSequence
from halyard.errors import EngineError
from model.build import build
from model.load import load_policy, load_processor
from model.render import ChatMessage, Rendered

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOLERANCE = 1e-4
"""Nats, in float32; engines and learners that differ by more than 1e-3 would be a fault."""
QUESTION = "How many red circles are there in this picture, and how many of them are large? Count one by one. " * 3


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("policies")
    for seed, name in enumerate(("old", "new")):
        build("nano", root / name, seed=0)
        if seed:
            _shake(root / name / "model.safetensors")
        save_qwen3_moe(root / f"moe-{name}", seed=seed)
    return {path.name: path for path in root.iterdir()}


def _shake(file: Path) -> None:
    """Change every weight of a policy a little, so that all of its tensors matter."""
    generator = torch.Generator().manual_seed(1)
    tensors = load_file(file)
    changed = {
        name: tensor + 0.1 * tensor.std() * torch.randn(tensor.shape, generator=generator)
        if tensor.numel() > 1
        else tensor
        for name, tensor in tensors.items()
    }
    save_file(changed, file, metadata={"format": "pt"})


def is_ours(process: psutil.Process) -> bool:
    """Whether a process that runs was started by the cluster of these tests."""
    try:
        mark = process.environ().get(MARK, "")
        return mark.startswith(f"{os.getpid()}:") and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory) -> AsyncIterator[Cluster]:
    config = ClusterConfig(
        engine=EngineConfig(max_model_len=384, max_num_seqs=64, kv_cache_gib=0.25),
        verify_weights=True,
        engine_restarts=4,
    )
    async with await Cluster.start(config, logs=tmp_path_factory.mktemp("logs")) as cluster:
        yield cluster
    left = [process for process in psutil.process_iter() if is_ours(process)]
    assert left == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(cluster: Cluster, folders) -> Engine:
    return await cluster.engine("policy", folders["old"])


@pytest.fixture(scope="module")
def prompts(folders) -> dict[str, Rendered]:
    renderer = load_processor(folders["old"])
    image = Image.effect_mandelbrot((112, 112), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    return {
        "text": renderer.prompt([ChatMessage("user", QUESTION)], thinking=True),
        "image": renderer.prompt([ChatMessage("user", QUESTION, images=(image,))], thinking=True),
    }


def request(prompt: Rendered, *, seeds: Sequence[int] = (1, 2), max_tokens: int = 24, temperature: float = 1.0):
    return GenerationRequest(
        id="q",
        token_ids=tuple(prompt.token_ids.tolist()),
        images=prompt.images,
        seeds=tuple(seeds),
        max_tokens=max_tokens,
        temperature=temperature,
    )


def expected(folder: Path, completion: Completion, prompt: Rendered | None, temperature: float = 1.0) -> np.ndarray:
    """Log-probs of a completion's tokens by a plain forward pass of the policy."""
    policy = load_policy(folder, dtype=torch.float32).eval()
    ids = torch.tensor([completion.prompt_token_ids + completion.token_ids])
    images = {}
    if prompt is not None and prompt.pixel_values is not None:
        images = {"pixel_values": torch.from_numpy(prompt.pixel_values)}
    with torch.no_grad():
        logits = policy(input_ids=ids, position_ids=torch.arange(ids.shape[1])[None], **images).logits[0]
    logprobs = (logits[:-1] / temperature).log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0].numpy()
    return logprobs[-len(completion.token_ids) :]


def distance(folder: Path, completions: Sequence[Completion], prompt: Rendered | None, temperature: float = 1.0):
    return max(np.abs(expected(folder, one, prompt, temperature) - np.array(one.logprobs)).max() for one in completions)


@pytest.mark.parametrize("kind", ["text", "image"])
async def test_logprobs_are_those_of_the_policy(engine, folders, prompts, kind):
    prompt = prompts[kind]
    for temperature in (1.0, 0.7):
        completions = await engine.generate(request(prompt, temperature=temperature))
        assert distance(folders["old"], completions, prompt, temperature) < TOLERANCE
    one = completions[0]
    assert one.prompt_token_ids == tuple(prompt.token_ids.tolist())
    scored = await engine.score(one.prompt_token_ids + one.token_ids, prompt.images)
    assert scored[0] == 0
    assert np.abs(expected(folders["old"], one, prompt) - scored[-len(one.token_ids) :]).max() < TOLERANCE


async def test_another_image_gives_other_logprobs(engine, prompts):
    prompt = prompts["image"]
    blank = replace(prompt, images=(Image.new("RGB", (112, 112), "white"),))
    ids = prompt.token_ids.tolist()
    assert await engine.score(ids, prompt.images) != await engine.score(ids, blank.images)


async def test_a_seed_decides_the_tokens_whatever_else_runs(engine, prompts):
    alone = [(await engine.generate(request(prompts["image"], seeds=(seed,))))[0].token_ids for seed in range(4)]
    crowd = await asyncio.gather(
        engine.generate(request(prompts["image"], seeds=range(3, -1, -1))),
        engine.generate(request(prompts["text"], seeds=range(30))),
    )
    assert [one.token_ids for one in reversed(crowd[0])] == alone
    assert len(set(alone)) == 4


async def test_answers_end_at_the_limit_or_with_the_end_of_turn(engine, prompts, folders):
    completions = await engine.generate(request(prompts["text"], seeds=range(64), max_tokens=40))
    end = load_processor(folders["old"]).eos_token_id
    for one in completions:
        assert (one.finish_reason == "stop") == (one.token_ids[-1] == end)
        assert one.finish_reason == "stop" or len(one.token_ids) == 40
        assert one.spans == ((0, len(one.token_ids), 0),)


async def test_requests_in_flight_go_on_with_new_weights(engine, folders, prompts):
    requests = [request(prompts[kind], seeds=range(16), max_tokens=120) for kind in ("image", "text")]
    undisturbed = await asyncio.gather(*map(engine.generate, requests))
    running = asyncio.gather(*map(engine.generate, requests))
    while (await engine.stats()).running < 32:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    await engine.load_snapshot(folders["new"], version=1)
    disturbed = await running

    assert engine.policy_version == 1
    for kind, before, after in zip(("image", "text"), undisturbed, disturbed, strict=True):
        caught = [(old, new) for old, new in zip(before, after, strict=True) if len(new.spans) == 2]
        assert len(caught) > 8
        for old, new in caught:
            (_, switch, first), (again, stop, second) = new.spans
            assert (first, second, again, stop) == (0, 1, switch, len(new.token_ids))
            assert new.token_ids[:switch] == old.token_ids[:switch]
        # What was sampled after the switch is the new policy's, also in what it attends to.
        one = caught[0][1]
        switch = one.spans[1][0]
        difference = np.abs(expected(folders["new"], one, prompts[kind]) - np.array(one.logprobs))
        assert difference[switch:].max() < TOLERANCE
        assert difference[:switch].max() > TOLERANCE
    await engine.load_snapshot(folders["old"], version=0)


async def update_without_reset(engine: Engine, folder: Path) -> None:
    """New weights the wrong way: nothing that the old ones computed is forgotten."""
    from vllm.distributed.weight_transfer.base import WeightTransferUpdateRequest

    actor = engine.copies[0].actor
    await actor.start_weight_update.remote()
    info = {"paths": [str(folder / "model.safetensors")]}
    await actor.update_weights.remote(WeightTransferUpdateRequest(update_info=info))
    await actor.finish_weight_update.remote()


@pytest.mark.parametrize("kind", ["text", "image"])
async def test_what_old_weights_computed_is_forgotten(engine, folders, prompts, kind):
    ask = request(prompts[kind], max_tokens=8)
    await engine.generate(ask)
    await update_without_reset(engine, folders["new"])
    assert distance(folders["new"], await engine.generate(ask), prompts[kind]) > 100 * TOLERANCE
    await engine.load_snapshot(folders["new"], version=1)
    assert distance(folders["new"], await engine.generate(ask), prompts[kind]) < TOLERANCE
    await engine.load_snapshot(folders["old"], version=0)
    assert distance(folders["old"], await engine.generate(ask), prompts[kind]) < TOLERANCE


async def test_a_pause_changes_no_token(engine, prompts):
    ask = request(prompts["image"], seeds=range(16), max_tokens=120)
    undisturbed = await engine.generate(ask)
    running = asyncio.create_task(engine.generate(ask))
    await asyncio.sleep(0.1)
    async with engine.paused(), engine.paused():
        assert not running.done()
    assert [one.token_ids for one in await running] == [one.token_ids for one in undisturbed]


async def test_what_is_sent_within_a_pause_is_the_same_to_the_last_bit(engine, prompts):
    async def together() -> list[Completion]:
        async with engine.paused():
            held = [
                asyncio.create_task(engine.generate(request(prompts[kind], seeds=range(seed, seed + 4), max_tokens=60)))
                for kind in ("image", "text")
                for seed in range(0, 20, 4)
            ]
            await asyncio.sleep(0)
        return [one for group in await asyncio.gather(*held) for one in group]

    assert await together() == await together()


async def test_a_request_that_nobody_waits_for_is_given_up(engine, prompts):
    task = asyncio.create_task(engine.generate(request(prompts["image"], seeds=range(8), max_tokens=250)))
    while (await engine.stats()).running < 8:
        await asyncio.sleep(0.01)
    task.cancel()
    async with asyncio.timeout(2):
        while (await engine.stats()).running:
            await asyncio.sleep(0.01)


async def test_a_prompt_that_is_too_long_is_refused_and_nothing_breaks(engine, prompts):
    with pytest.raises(EngineError, match="engine-policy-0"):
        await engine.generate(replace(request(prompts["text"]), token_ids=(5,) * 500))
    assert len(await engine.generate(request(prompts["text"]))) == 2


async def test_a_mixture_of_experts_takes_new_weights(cluster, folders):
    moe = await cluster.engine("judge", folders["moe-old"])
    ask = GenerationRequest(id="q", token_ids=tuple(range(10, 60)), seeds=(1, 2, 3), max_tokens=24)
    for version, name in enumerate(("moe-old", "moe-new", "moe-old")):
        moe = await cluster.engine("judge", folders[name], version=version)
        completions = await moe.generate(ask)
        assert completions[0].spans == ((0, len(completions[0].token_ids), version),)
        assert distance(folders[name], completions, None) < TOLERANCE
    actor = moe.copies[0]
    pending = asyncio.gather(*(moe.generate(replace(ask, max_tokens=300)) for _ in range(20)), return_exceptions=True)
    await asyncio.sleep(0.2)
    os.kill(actor.pids[0], signal.SIGKILL)
    async with asyncio.timeout(10):
        errors = await pending
    assert all(isinstance(error, EngineError) and "engine-judge-0 died" in str(error) for error in errors)
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in actor.pids[1:] if psutil.pid_exists(pid)], timeout=5)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    await cluster.release_engine("judge")


async def test_an_update_that_leaves_a_weight_out_stops_the_engine(cluster, engine, folders, prompts, tmp_path):
    await engine.load_snapshot(folders["new"], version=3)
    tensors = load_file(folders["old"] / "model.safetensors")
    left_out = next(name for name in tensors if "layers.1.mlp.up_proj" in name)
    del tensors[left_out]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(EngineError, match=r"left out 1 weights: .*layers\.1\.mlp"):
        await engine.load_files([tmp_path / "model.safetensors"], version=4)
    with pytest.raises(EngineError, match="died"):
        await engine.generate(request(prompts["text"]))

    await cluster.restart_engine("policy")
    assert engine.policy_version == 3
    assert distance(folders["new"], await engine.generate(request(prompts["text"])), prompts["text"]) < TOLERANCE


def push() -> LossFunction:
    """A loss that makes what it is given likelier; a closure travels whole, without this file."""

    def loss(inputs: LossInputs) -> LossOutput:
        return LossOutput(loss=-(inputs.weights * inputs.logprobs).sum())

    return loss


def lesson(prompt: Rendered, completion: Completion) -> TrainSequence:
    ids = np.array(completion.prompt_token_ids + completion.token_ids)
    mask = np.arange(len(ids)) >= len(completion.prompt_token_ids)
    return TrainSequence(token_ids=ids, loss_mask=mask, weights=mask / mask.sum(), pixel_values=prompt.pixel_values)


async def test_a_learner_publishes_what_it_learnt(cluster, engine, folders, prompts):
    await engine.load_snapshot(folders["old"], version=0)
    prompt = prompts["image"]
    (completion,) = await engine.generate(request(prompt, seeds=(1,)))
    sequence = lesson(prompt, completion)
    learner = await cluster.learner(folders["old"], OptimizerConfig(learning_rate=1e-2), steps=9, seed=0)
    update = await learner.update([sequence], push())
    transfer = await learner.publish(engine, update.version)

    assert transfer.version == engine.policy_version == 1
    assert 0 < transfer.pause_seconds < transfer.seconds
    assert await engine.checksums() == await learner.checksums()
    engines = np.array(await engine.score(sequence.token_ids.tolist(), prompt.images))[sequence.loss_mask]
    learners = (await learner.logprobs([sequence]))[0][sequence.loss_mask]
    assert np.abs(engines - learners).max() < TOLERANCE
    assert engines.sum() - sum(completion.logprobs) > 1


class Corrupting:
    """A learner whose weights are damaged on their way: one bit of the last tensor."""

    def __init__(self, learner) -> None:
        self.checksums = learner.checksums
        self._learner = learner

    async def write_weights(self, path: Path) -> tuple[int, int]:
        written = await self._learner.write_weights(path)
        data = bytearray(path.read_bytes())
        data[-2] ^= 1
        path.write_bytes(data)
        return written


async def test_weights_damaged_on_their_way_stop_the_engine(cluster, engine, prompts):
    learner = await cluster.learner(engine.copies[0].spec.path, OptimizerConfig(learning_rate=1e-2), steps=9, seed=0)
    (completion,) = await engine.generate(request(prompts["text"], seeds=(1,)))
    sequence = lesson(prompts["text"], completion)
    await learner.update([sequence], push())
    await learner.publish(engine, 2)
    with pytest.raises(EngineError, match=r"1 of .* tensors differ"):
        await publish(Corrupting(learner), engine, 3, config=cluster.config)

    await cluster.restart_engine("policy")  # with what the learner has now, not what is in the snapshot
    assert engine.policy_version == 2
    engines = np.array(await engine.score(sequence.token_ids.tolist()))
    (learners,) = await learner.logprobs([sequence])
    assert np.abs(engines - learners).max() < TOLERANCE
    (again,) = await engine.generate(request(prompts["text"], seeds=(1,)))
    assert {version for *_, version in again.spans} == {2}


async def test_a_killed_engine_core_is_told_at_once(cluster, engine, prompts):
    ask = request(prompts["text"], seeds=range(32), max_tokens=120)
    pending = asyncio.gather(engine.generate(ask), engine.generate(ask), return_exceptions=True)
    await asyncio.sleep(0.2)
    core = next(pid for pid in engine.copies[0].pids if "VLLM::EngineCore" in " ".join(psutil.Process(pid).cmdline()))
    os.kill(core, signal.SIGKILL)
    async with asyncio.timeout(5):
        errors = await pending
    log = engine.copies[0].spec.log
    assert all(isinstance(error, EngineError) and "engine-policy-0" in str(error) for error in errors)
    assert all(str(log) in str(error) for error in errors)
    assert log.read_text()
    await cluster.restart_engine("policy")
    assert len(await engine.generate(request(prompts["text"]))) == 2
