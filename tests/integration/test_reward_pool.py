"""Real processes that hang, die and swell: every item comes back in time, whoever asks, and others do not wait."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from rewards import process
from rewards.pool import Pool
from rewards.sample import Judgement
from rewards.worker import Job

JOB = Job("support.jobs", "doer")
DEADLINE = 0.5
SAY = ("say", "hello")

Opener = Callable[..., Pool]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens pools, and closes them."""
    pools: list[Pool] = []

    def open_pool(workers: int = 1, deadline: float = DEADLINE, memory_gib: float = 0.0, job: Job = JOB) -> Pool:
        pools.append(Pool(job, workers=workers, deadline=deadline, memory_gib=memory_gib))
        return pools[-1]

    yield open_pool
    for pool in pools:
        pool.close()


def asked(pool: Pool, *items: object) -> list[Judgement]:
    return [future.result(60) for future in [pool.submit(item) for item in items]]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (("spin", 60), "timeout: no verdict in 0.5 s, killed"),
        (("sleep", 60), "timeout: no verdict in 0.5 s, killed"),
        (("exit", 3), "crash: the process died with exit code 3"),
        (("abort", 0), "crash: the process died with exit code -6"),
        (("take", 8), "memory: it took more than the process may have"),
        (("overflow", 0), "raised: RecursionError: maximum recursion depth exceeded"),
        (("unpicklable", 0), "raised: TypeError: float() argument must be a string or a real number"),
        (("nothing", 0), "raised: AttributeError: 'NoneType' object has no attribute 'score'"),
        (("no such deed", 0), "raised: KeyError: 'no such deed'"),
    ],
)
def test_each_misdeed_fails_by_its_kind_and_the_next_item_is_judged(opened: Opener, item: object, reason: str) -> None:
    before, failure, after = asked(opened(memory_gib=1.0), SAY, item, SAY)
    assert (before.score, failure.score, after.score) == (1, None, 1)
    assert failure.reason.startswith(reason)


def test_what_cannot_be_sent_and_what_cannot_start_say_so(opened: Opener) -> None:
    assert asked(opened(), lambda: None)[0].reason.startswith("bad sample: cannot be sent to a process: ")
    broken = asked(opened(job=Job("support.jobs", "no_such_factory")), SAY)[0]
    assert broken.reason.startswith("not started: ")
    assert "no_such_factory" in broken.reason


def test_a_reply_stays_small_whatever_a_function_says(opened: Opener) -> None:
    (judgement,) = asked(opened(deadline=5.0), ("shout", 10**8))
    assert judgement.score == 1
    assert len(judgement.reason) <= 500
    assert len(judgement.parts) <= 100


def test_nobody_waits_behind_a_slow_item(opened: Opener) -> None:
    """One worker, and 30 quick items sent in one batch with a hanging one before them."""
    pool = opened(deadline=3.0)
    asked(pool, SAY, ("spin", 0.4))  # the first slow item has the spare process started
    began = time.monotonic()
    slow, *quick = [pool.submit(item) for item in [("sleep", 60), *[SAY] * 30]]
    assert all(future.result(60).score == 1 for future in quick)
    assert time.monotonic() - began < 3.0 * process.PATIENCE
    assert not slow.done()
    assert slow.result(60).reason.startswith("timeout: ")


def test_nobody_waits_for_a_process_to_start_while_another_is_there(opened: Opener) -> None:
    start = 4.0
    pool = opened(deadline=2.0, job=Job("support.jobs", "doer", (start,)))
    asked(pool, SAY)
    began = time.monotonic()
    slow, *quick = [
        pool.submit(item) for item in [("sleep", 0.5), *[SAY] * 40]
    ]  # slow enough to have the spare started
    assert all(future.result(60).score == 1 for future in [slow, *quick])
    for _ in range(50):
        asked(pool, SAY)  # nor does it come before the one that has just become free
    assert time.monotonic() - began < start


def test_sleep_counts_as_time(opened: Opener) -> None:
    pool = opened(deadline=1.0)
    asked(pool, SAY)
    began = time.monotonic()
    (judgement,) = asked(pool, ("sleep", 60))
    assert judgement.reason.startswith("timeout: ")
    assert time.monotonic() - began < 0.9 * process.PATIENCE


def test_a_slow_item_in_time_keeps_its_verdict_and_its_process(opened: Opener) -> None:
    pool = opened(deadline=2.0)
    pid, *slow = asked(pool, ("pid", 0), *[("spin", 0.3)] * 4)
    assert [one.reason for one in slow] == ["spun 0.3 s"] * 4
    after = {one.score for one in asked(pool, *[("pid", 0)] * 5)}
    assert psutil.pid_exists(int(pid.score or 0))
    assert len(after) == 1


def test_a_batch_together_is_one_item_with_the_time_of_all(opened: Opener) -> None:
    pool = opened()
    assert [one.score for one in asyncio.run(pool.judge_together([1, 2, 3]))] == [1, 2, 3]
    assert asyncio.run(pool.judge_together([])) == []
    failures = asyncio.run(pool.judge_together(["x", "y"]))
    assert [one.score for one in failures] == [None, None]
    assert failures[0].reason.startswith("raised: ValueError")


def test_a_process_is_replaced_after_its_lifetime(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LIFETIME", 10)
    pids = [asked(pool, ("pid", 0))[0].score for pool in [opened(deadline=5.0)] for _ in range(45)]
    assert 3 <= len(set(pids)) <= 6
    assert None not in pids


def test_memory_is_what_a_process_takes_beyond_its_start(opened: Opener) -> None:
    fits, too_much, again = asked(opened(memory_gib=1.0, deadline=5.0), ("take", 0.5), ("take", 1.1), ("take", 0.5))
    assert (fits.score, again.score) == (1, 1)
    assert too_much.reason.startswith("memory: ")


def test_a_process_killed_from_outside_is_replaced_unseen(opened: Opener) -> None:
    pool = opened(deadline=5.0)
    (pid,) = asked(pool, ("pid", 0))
    victim = psutil.Process(int(pid.score or 0))
    victim.kill()
    for _ in range(200):
        if victim.status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.01)
    assert asked(pool, SAY)[0].score == 1


def test_what_a_killed_process_started_is_killed_too(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "pid"
    monkeypatch.setenv("CHILD_PID_FILE", str(note))
    (judgement,) = asked(opened(), ("child", 300))
    assert judgement.reason.startswith("timeout: ")
    child = int(note.read_text())
    for _ in range(200):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.01)
    pytest.fail(f"process {child} outlived its parent")


def test_threads_event_loops_and_loops_within_loops_are_served_alike(opened: Opener) -> None:
    pool = opened(workers=2, deadline=5.0)

    def in_thread(n: int) -> list[str]:
        return [one.reason for one in asked(pool, ("say", n))]

    def in_loop(n: int) -> list[str]:
        return [one.reason for one in asyncio.run(pool.judge([("say", n), ("say", n)]))]

    async def in_both(n: int) -> list[str]:
        inner = asyncio.to_thread(in_loop, n)  # a loop in a thread of a loop
        return [one.reason for one in await pool.judge([("say", n)])] + await inner

    with ThreadPoolExecutor(12) as threads:
        futures = [threads.submit(way, n) for n in range(20) for way in (in_thread, in_loop)]
        futures += [threads.submit(lambda n=n: asyncio.run(in_both(n))) for n in range(20)]
        said = [future.result(60) for future in futures]
    expected = [[str(n)] * count for n in range(20) for count in (1, 2)] + [[str(n)] * 3 for n in range(20)]
    assert said == expected


def test_who_stops_waiting_harms_no_one(opened: Opener) -> None:
    pool = opened(deadline=2.0)

    async def impatient() -> list[Judgement]:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.judge([("sleep", 1), ("sleep", 1), ("sleep", 1)]), 0.2)
        return await pool.judge([SAY])

    began = time.monotonic()
    assert asyncio.run(impatient())[0].score == 1
    assert time.monotonic() - began < 2.0 * process.PATIENCE


def test_a_closed_pool_leaves_nothing_behind(opened: Opener) -> None:
    before = {child.pid for child in psutil.Process().children()}
    threads = threading.active_count()
    pool = opened(workers=2, deadline=60.0)
    asked(pool, SAY)
    futures = [pool.submit(("sleep", 60)) for _ in range(5)]
    time.sleep(0.2)
    pool.close()
    assert [future.result(5).reason.partition(":")[0] for future in futures] == ["closed"] * 5
    assert pool.submit(SAY).result(5).reason == "closed: the pool is closed"
    assert {child.pid for child in psutil.Process().children()} == before
    assert threading.active_count() == threads


def test_processes_die_with_their_parent() -> None:
    program = (
        "import os\nfrom rewards.pool import Pool\nfrom rewards.worker import Job\n"
        "pool = Pool(Job('support.jobs', 'doer'), workers=1, deadline=60.0)\n"
        "print(int(pool.submit(('pid', 0)).result(60).score), flush=True)\n"
        "pool.submit(('sleep', 60))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([".", "tests"])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, env=environment)
    child = int(done.stdout)
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail(f"process {child} outlived its parent")


def test_a_machine_too_busy_to_begin_loses_no_item(opened: Opener) -> None:
    """The process is stopped before it can begin, so that the recall reaches it before the first item."""
    pool = opened(deadline=1.0)
    (pid,) = asked(pool, ("pid", 0))
    process_ = psutil.Process(int(pid.score or 0))
    process_.suspend()
    futures = [pool.submit(("say", n)) for n in range(40)]
    time.sleep(0.6)
    process_.resume()
    assert [future.result(60).reason for future in futures] == [str(n) for n in range(40)]


def test_a_fault_of_the_pool_itself_is_told_and_outlived(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = opened(deadline=5.0)

    def faulty(*_: object) -> None:
        monkeypatch.undo()
        raise LookupError("on purpose")

    monkeypatch.setattr(process.WorkerProcess, "receive", faulty)
    failure, after = asked(pool, SAY)[0], asked(pool, SAY)[0]
    assert failure.reason == "crash: the pool itself failed: LookupError: on purpose"
    assert after.score == 1
