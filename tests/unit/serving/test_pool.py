from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from support.served import HeldEngine, Sound, snapshot

from configs.cluster import EngineConfig
from configs.serving import LimitsConfig, ServingConfig
from halyard.errors import EngineError
from serving.errors import Refusal
from serving.pool import Pool

A, B, C = snapshot("a"), snapshot("b"), snapshot("c")


def config(*, dwell: float = 0.0, room: int = 4, queue: int = 8, seconds: float = 5.0, stall: float = 60.0):
    return ServingConfig(
        engine=EngineConfig(max_num_seqs=room),
        limits=LimitsConfig(queue=queue, queue_seconds=seconds),
        dwell_seconds=dwell,
        stall_seconds=stall,
    )


@asynccontextmanager
async def pool_of(count: int = 1, *, damaged: tuple[str, ...] = (), start=A, **settings):
    engines = [HeldEngine(f"engine-{index}") for index in range(count)]
    pool = Pool(engines, Sound(*damaged), config(**settings))
    pool.prefer(start)
    pool.start()
    async with asyncio.timeout(5):
        while not all(slot.state() == "serving" for slot in pool.slots):
            await asyncio.sleep(0)
    yield pool, engines
    await pool.close()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0.005)


async def test_an_engine_answers_with_what_it_holds_at_once() -> None:
    async with pool_of() as (pool, _), pool.lease(A, 1) as slot:
        assert slot.engine.snapshot == A
        assert (pool.in_flight, pool.waiting) == (1, 0)
    assert pool.in_flight == 0


async def test_a_swap_waits_for_what_is_in_flight_and_lets_nobody_in_before() -> None:
    async with pool_of() as (pool, (engine,)):
        seen: list[str] = []

        async def ask(which, hold: asyncio.Event) -> None:
            async with pool.lease(which, 1) as slot:
                held = slot.engine.snapshot
                await hold.wait()
                assert slot.engine.snapshot == held == which
                seen.append(which.version)

        first, rest = asyncio.Event(), asyncio.Event()
        rest.set()
        old = asyncio.create_task(ask(A, first))
        await settle()
        new = asyncio.create_task(ask(B, rest))
        await settle()
        late = asyncio.create_task(ask(A, rest))  # arrives when the door is closed
        await settle()
        assert engine.taken == ["a"]
        assert pool.waiting == 2
        first.set()
        await asyncio.gather(old, new, late)
        assert seen == ["a", "b", "a"]
        assert engine.taken == ["a", "b", "a"]
        assert [(swap.new, swap.held) for swap in list(pool.swaps)[1:]] == [("r@b", 1), ("r@a", 1)]


async def test_two_versions_in_demand_take_turns_after_their_time() -> None:
    async with pool_of(dwell=0.3) as (pool, (engine,)):
        engine.seconds = 0.1
        done: list[str] = []

        async def client(which) -> None:
            for _ in range(15):
                async with pool.lease(which, 1):
                    await asyncio.sleep(0.02)
                done.append(which.version)

        async with asyncio.timeout(10):
            await asyncio.gather(client(A), client(B))
        assert done.count("a") == done.count("b") == 15
        assert 3 <= len(engine.taken) <= 10  # at worst, one change for each request: 31


async def test_versions_are_served_side_by_side_by_two_engines() -> None:
    async with pool_of(2) as (pool, engines):
        async with pool.lease(A, 1) as one, pool.lease(B, 1) as two:
            assert one is not two
        async with pool.lease(A, 1), pool.lease(B, 1):
            pass
        assert sorted(len(engine.taken) for engine in engines) == [1, 2]


async def test_a_full_engine_is_helped_by_one_that_nobody_used_for_a_while() -> None:
    async with pool_of(2, room=1) as (pool, engines):
        async with pool.lease(B, 1):
            pass
        async with asyncio.timeout(2), pool.lease(A, 1), pool.lease(A, 1):
            assert [engine.snapshot for engine in engines] == [A, A]


async def test_a_request_takes_as_many_places_as_it_has_answers() -> None:
    async with pool_of(room=4) as (pool, _), pool.lease(A, 3):
        large = asyncio.create_task(_use(pool, A, 2))
        await settle()
        assert not large.done()
        small = asyncio.create_task(_use(pool, A, 1))
        await settle()
        assert not small.done()  # nobody overtakes
    await asyncio.gather(large, small)


async def _use(pool: Pool, which, sequences: int = 1) -> None:
    async with pool.lease(which, sequences):
        pass


async def test_too_many_that_wait_are_refused_with_a_time() -> None:
    async with pool_of(room=1, queue=2) as (pool, _):
        async with pool.lease(A, 1):
            waiting = [asyncio.create_task(_use(pool, A)) for _ in range(2)]
            await settle()
            with pytest.raises(Refusal) as refused:
                await _use(pool, A)
        assert refused.value.status == 429
        assert int(refused.value.headers["retry-after"]) >= 1
        await asyncio.gather(*waiting)


async def test_a_wait_that_is_too_long_ends_and_leaves_nothing_behind() -> None:
    async with pool_of(room=1, seconds=0.05) as (pool, _):
        async with pool.lease(A, 1):
            with pytest.raises(Refusal) as refused:
                await _use(pool, A)
            assert refused.value.status == 503
            assert pool.waiting == 0
        await _use(pool, A)


async def test_a_client_that_goes_while_it_waits_frees_its_place() -> None:
    async with pool_of(room=1) as (pool, _):
        async with pool.lease(A, 1):
            waiter = asyncio.create_task(_use(pool, A))
            await settle()
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)
            assert pool.waiting == 0
        await _use(pool, A)


async def test_a_client_that_goes_in_the_moment_of_its_turn_gives_the_place_back() -> None:
    async with pool_of(room=1) as (pool, (engine,)):
        lease = pool.lease(A, 1)
        await lease.__aenter__()
        waiter = asyncio.create_task(_use(pool, A))
        await settle()
        await lease.__aexit__(None, None, None)  # the turn is given here, and the task has not run yet
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        assert pool.in_flight == 0
        assert engine.taken == ["a"]


async def test_a_damaged_snapshot_is_refused_and_the_old_one_goes_on() -> None:
    async with pool_of(damaged=("b",)) as (pool, (engine,)):
        for _ in range(2):
            with pytest.raises(Refusal, match="b is damaged") as refused:
                await _use(pool, B)
            assert refused.value.status == 410
        await _use(pool, A)
        assert engine.taken == ["a"]


async def test_a_snapshot_that_kills_engines_is_given_up_and_the_old_one_comes_back() -> None:
    async with pool_of() as (pool, (engine,)):
        engine.failures = [EngineError("out of memory"), EngineError("out of memory")]
        with pytest.raises(Refusal, match="out of memory"):
            await _use(pool, B)
        await _use(pool, A)
        assert engine.snapshot == A


async def test_a_dead_engine_is_started_again_with_what_it_held() -> None:
    async with pool_of(2) as (pool, (one, two)):
        await _use(pool, B)
        dead = one if one.snapshot == B else two
        dead.alive = False
        async with asyncio.timeout(3):
            while not dead.alive:
                await asyncio.sleep(0.01)
        assert dead.taken[-1] == "b"
        assert pool.restarts == 1


async def test_a_restart_is_counted_also_when_a_request_brings_it_about() -> None:
    async with pool_of() as (pool, (engine,)):
        engine.alive = False
        await _use(pool, A)
        assert (pool.restarts, engine.taken) == (1, ["a", "a"])


async def test_while_one_engine_is_dead_the_other_answers() -> None:
    async with pool_of(2) as (pool, (one, two)):
        one.gate.clear()
        one.alive = False
        async with pool.lease(A, 1) as slot:
            assert slot.engine is two
        one.gate.set()


async def test_a_living_engine_to_spare_takes_what_a_dead_one_held_while_that_one_starts() -> None:
    async with pool_of(2) as (pool, (first, second)):
        async with pool.lease(B, 1) as slot:
            idle, dead = (first, second) if slot.engine is second else (second, first)
        dead.gate.clear()
        dead.kill()
        async with asyncio.timeout(2), pool.lease(B, 1) as slot:
            assert slot.engine is idle
            assert not dead.alive
        dead.gate.set()
        await settle()
        assert (first.snapshot, second.snapshot) == (B, B)


async def test_an_engine_that_was_idle_for_long_has_its_time_for_the_first_token() -> None:
    """Its last token is as old as the idle time, and the new request has yet to reach it."""
    async with pool_of(stall=1.0) as (pool, (engine,)):
        engine.silence = 3600.0
        for _ in range(2):
            async with pool.lease(A, 1):
                await asyncio.sleep(0.6)
        assert not engine.killed


async def test_an_engine_that_stalls_is_ended() -> None:
    async with pool_of(stall=1.0) as (pool, (engine,)), pool.lease(A, 1):
        engine.silence = 2.0
        async with asyncio.timeout(3):
            while not engine.killed:
                await asyncio.sleep(0.01)


async def test_who_waits_when_the_service_ends_is_told() -> None:
    async with pool_of(room=1) as (pool, _):
        lease = pool.lease(A, 1)
        await lease.__aenter__()
        waiter = asyncio.create_task(_use(pool, A))
        await settle()
        await pool.close()
        with pytest.raises(Refusal, match="shutting down"):
            await waiter
