"""Promotion, over engines that take snapshots when they are let: what requests see before, meanwhile and after."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from support.served import HeldEngine, write_snapshot

from configs.serving import ServingConfig
from halyard.errors import EngineError
from serving.errors import Refusal
from serving.service import Service

OPS = {"who": "ops", "why": ""}


@asynccontextmanager
async def service_of(tmp_path, count: int):
    for version in ("01-a", "02-b"):
        write_snapshot(tmp_path / "run", version)
    engines = [HeldEngine(f"engine-{index}") for index in range(count)]
    service = Service([tmp_path / "run"], tmp_path / "state", engines, ServingConfig())
    await service.start()
    async with asyncio.timeout(5):
        while not all(slot.state() == "serving" for slot in service.pool.slots):
            await asyncio.sleep(0.01)
        await service.promote(service.snapshot("run@02-b"), "stable", 1.0, wait=True, **OPS)
    yield service, engines
    await service.close()


def leads_to(service: Service) -> str | None:
    alias = service.aliases.get("run@stable")
    return alias.main if alias else None


@pytest.mark.parametrize(("count", "meanwhile"), [(1, "01-a"), (2, "02-b")])
async def test_the_alias_changes_before_the_weights_only_where_there_is_one_engine(tmp_path, count, meanwhile) -> None:
    async with service_of(tmp_path, count) as (service, engines):
        for engine in engines:
            engine.gate.clear()
        promoting = asyncio.create_task(service.promote(service.snapshot("run@01-a"), "stable", 1.0, wait=True, **OPS))
        await asyncio.sleep(0.2)
        assert leads_to(service) == meanwhile
        assert not promoting.done()
        for engine in engines:
            engine.gate.set()
        assert (await promoting).main == leads_to(service) == "01-a"


async def test_a_promotion_that_fails_is_as_if_it_had_not_been(tmp_path) -> None:
    async with service_of(tmp_path, 1) as (service, (engine,)):
        engine.failures = [EngineError("out of memory")] * 2
        with pytest.raises(Refusal, match="out of memory"):
            await service.promote(service.snapshot("run@01-a"), "stable", 1.0, wait=True, **OPS)
        assert leads_to(service) == "02-b"
        assert [change.verb for change in service.aliases.get("run@stable").changes] == ["promote"]


async def test_a_damaged_snapshot_is_not_promoted(tmp_path) -> None:
    async with service_of(tmp_path, 1) as (service, (engine,)):
        (tmp_path / "run" / "snapshots" / "01-a" / "model.safetensors").write_text("other")
        for wait in (True, False):
            with pytest.raises(Refusal, match="damaged"):
                await service.promote(service.snapshot("run@01-a"), "stable", 1.0, wait=wait, **OPS)
        assert leads_to(service) == "02-b"
        assert engine.taken == ["02-b"]
