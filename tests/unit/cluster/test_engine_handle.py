from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from ray.exceptions import RayActorError

from configs.cluster import Deadlines
from halyard.cluster import engine as module
from halyard.cluster.engine import Copy, Engine
from halyard.cluster.engine_actor import EngineSpec
from halyard.cluster.types import EngineStats, GenerationRequest
from halyard.errors import DeadlineError, EngineError


class Actor:
    """An engine actor in this process: answers generate when it is told to, and the rest at once."""

    def __init__(self):
        self.go = asyncio.Event()
        self.asked: list[str] = []
        self.checksum = "aa"
        self.failure: Exception | None = None
        self.alive = True

    def __getattr__(self, method):
        actor = self

        class Method:
            def remote(self, *arguments):
                return asyncio.ensure_future(actor.answer(method, *arguments))

        return Method()

    async def answer(self, method, *arguments):
        if not self.alive:
            raise RayActorError()
        if method == "generate":
            self.asked.append(arguments[0].id)
            await self.go.wait()
            return ()
        self.asked.append(method)
        if method == "load_files" and self.failure:
            raise self.failure
        return {
            "load_files": 2,
            "received": (2, 8, {"norm": self.checksum}),
            "stats": EngineStats(tokens=5, running=2, waiting=1),
        }.get(method)


@pytest.fixture
def actors(monkeypatch):
    monkeypatch.setattr(module.ray, "cancel", lambda answer: answer.cancel())
    monkeypatch.setattr(module.ray, "kill", lambda actor: setattr(actor, "alive", False))
    return [Actor(), Actor()]


@pytest.fixture
def engine(actors):
    def spec(index):
        return EngineSpec(
            name=f"engine-policy-{index}",
            path=Path("model"),
            version=4,
            log=Path(f"logs/{index}.log"),
            arguments={},
            environment={},
        )

    copies = [Copy(spec=spec(index), actor=actor, pids=()) for index, actor in enumerate(actors)]
    return Engine("policy", copies, Deadlines(generate=0.2))


def ask(name: str, *, samples: int, max_tokens: int = 10) -> GenerationRequest:
    return GenerationRequest(id=name, token_ids=(1,), seeds=tuple(range(samples)), max_tokens=max_tokens)


async def test_the_copy_with_the_fewest_tokens_to_write_is_asked(engine, actors):
    async with asyncio.TaskGroup() as group:
        for request in (
            ask("long", samples=8),
            ask("short", samples=2),
            ask("next", samples=2),
            ask("last", samples=8),
        ):
            group.create_task(engine.generate(request))
            await asyncio.sleep(0)
        actors[0].go.set()
        actors[1].go.set()
    assert [actor.asked for actor in actors] == [["long"], ["short", "next", "last"]]
    assert [copy.load for copy in engine.copies] == [0, 0]


async def test_a_dead_copy_is_named_with_its_log(engine, actors):
    actors[0].alive = False
    with pytest.raises(EngineError, match=r"engine-policy-0 died: .* logs/0\.log"):
        await engine.generate(ask("q", samples=1))
    assert not await engine.lives(engine.copies[0])
    assert await engine.lives(engine.copies[1])


async def test_a_request_that_takes_too_long_is_named(engine):
    with pytest.raises(DeadlineError, match=r"0\.2 s for engine-policy-0 generate \(prompt sum-17\)"):
        await engine.generate(ask("sum-17", samples=1))
    assert [copy.load for copy in engine.copies] == [0, 0]


async def test_all_copies_hold_before_any_is_given_weights(engine, actors):
    tensors, _ = await engine.load_files([Path("new.safetensors")], 5)
    assert tensors == 2
    assert engine.policy_version == 5
    assert all(actor.asked == ["pause", "load_files", "resume"] for actor in actors)


async def test_an_engine_that_cannot_take_weights_is_stopped(engine, actors):
    actors[1].failure = RayActorError()
    with pytest.raises(EngineError, match="engine-policy-1"):
        await engine.load_files([Path("new.safetensors")], 5)
    assert engine.policy_version == 4
    assert not any(actor.alive for actor in actors)


async def test_copies_with_different_weights_are_noticed(engine, actors):
    assert await engine.checksums() == {"norm": "aa"}
    actors[1].checksum = "bb"
    with pytest.raises(EngineError, match="hold different weights"):
        await engine.checksums()


async def test_figures_are_summed_over_copies(engine):
    assert await engine.stats() == EngineStats(tokens=10, running=4, waiting=2)
