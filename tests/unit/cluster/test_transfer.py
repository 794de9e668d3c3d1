from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from configs.cluster import ClusterConfig, EngineConfig, LearnerConfig
from halyard.cluster import transfer
from halyard.errors import EngineError


@pytest.mark.parametrize(
    ("config", "way"),
    [
        (ClusterConfig(), "shared_memory"),
        (ClusterConfig(engine=EngineConfig(gpus=1), learner=LearnerConfig(gpus=1)), "nccl"),
        (ClusterConfig(engine=EngineConfig(gpus=1), learner=LearnerConfig(gpus=1), placement="sharing"), "ipc"),
        (
            ClusterConfig(transfer="shared_memory", engine=EngineConfig(gpus=1), learner=LearnerConfig(gpus=1)),
            "shared_memory",
        ),
    ],
)
def test_the_way_follows_placement(config, way):
    assert transfer.choose(config) == way


class Learner:
    """Writes three bytes, and knows their checksum."""

    def __init__(self, events):
        self.events = events

    async def write_weights(self, path):
        self.events.append("write")
        path.write_bytes(b"abc")
        return 1, 3

    async def send_weights(self, way, engine):
        self.events.append(f"send by {way}")

    async def checksums(self):
        return {"norm.weight": "aa"}


class Engine:
    """Remembers in which order it was asked for what."""

    role = "policy"
    policy_version = 0

    def __init__(self, events, folder, arrived="aa"):
        self.events = events
        self.arrived = arrived
        self.copies = [SimpleNamespace(spec=SimpleNamespace(path=folder))]

    @asynccontextmanager
    async def updating(self, version):
        self.events.append("hold")
        try:
            yield lambda: 0.25
        except BaseException:
            self.events.append("kill")
            raise
        self.events.append("go on")
        self.policy_version = version

    async def read_files(self, paths, version):
        (path,) = paths
        self.events.append(f"load {path.read_bytes().decode()}")
        self.path = path
        return 1

    async def received(self, version):
        return 1, 3

    async def checksums(self):
        return {"norm.weight": self.arrived}


async def test_requests_are_held_only_while_the_engine_reads(tmp_path):
    events = []
    engine = Engine(events, tmp_path)
    done = await transfer.publish(Learner(events), engine, 7, config=ClusterConfig())
    assert events == ["write", "hold", "load abc", "go on"]
    assert (done.version, done.tensors, done.bytes, done.pause_seconds) == (7, 1, 3, 0.25)
    assert not engine.path.exists()


async def test_between_gpus_nothing_is_written(tmp_path):
    events = []
    config = ClusterConfig(engine=EngineConfig(gpus=1), learner=LearnerConfig(gpus=1))
    done = await transfer.publish(Learner(events), Engine(events, tmp_path), 7, config=config)
    assert events == ["hold", "send by nccl", "go on"]
    assert done.bytes == 3


async def test_what_arrived_must_be_what_was_sent(tmp_path):
    events = []
    engine = Engine(events, tmp_path, arrived="bb")
    with pytest.raises(EngineError, match=r"1 of 1 tensors differ .* norm\.weight"):
        await transfer.publish(Learner(events), engine, 7, config=ClusterConfig(verify_weights=True))
    assert events == ["write", "hold", "load abc", "kill"]
    assert not engine.path.exists()


async def test_an_engine_can_ask_for_the_newest_weights_again(tmp_path):
    events = []
    engine = Engine(events, tmp_path)
    await transfer.publish(Learner(events), engine, 7, config=ClusterConfig())
    events.clear()
    await engine.refresh()
    assert events == ["write", "hold", "load abc", "go on"]
    assert engine.policy_version == 7
