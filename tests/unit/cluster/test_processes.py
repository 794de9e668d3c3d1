from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from halyard.cluster import processes

SLEEP = "import time; time.sleep(60)"


def start(code: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def reap():
    started: list[subprocess.Popen] = []
    yield started.append
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def becomes(condition, *, seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_a_sweep_kills_what_a_dead_driver_left_and_nothing_else(reap):
    mine = f"{os.getpid()}:{psutil.Process().create_time():.2f}"
    stray = start(SLEEP, **{processes.MARK: "999999:1.00"})
    recycled = start(SLEEP, **{processes.MARK: f"{os.getpid()}:1.00"})
    alive = start(SLEEP, **{processes.MARK: mine})
    unmarked = start(SLEEP)
    for process in (stray, recycled, alive, unmarked):
        reap(process)
    assert becomes(lambda: processes.MARK in psutil.Process(stray.pid).environ())
    assert becomes(lambda: processes.MARK in psutil.Process(recycled.pid).environ())

    killed = processes.sweep()

    assert {stray.pid, recycled.pid} <= set(killed)
    assert not is_running(stray.pid)
    assert not is_running(recycled.pid)
    assert alive.poll() is None
    assert unmarked.poll() is None


def test_a_child_dies_with_its_parent(reap):
    child = (
        f"from halyard.cluster.processes import die_with_parent; die_with_parent(); print('up', flush=True); {SLEEP}"
    )
    parent = start(
        f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE);"
        f"child.stdout.readline(); print(child.pid, flush=True); {SLEEP}"
    )
    reap(parent)
    pid = int(parent.stdout.readline())
    assert is_running(pid)
    parent.kill()
    assert becomes(lambda: not is_running(pid))


def test_the_scratch_of_dead_drivers_is_removed_and_ours_is_kept(tmp_path):
    ended = start("pass")
    ended.wait()
    ended.stdout.close()
    left = processes.make_scratch()
    left = left.rename(left.with_name(f"halyard-{ended.pid}-left"))
    kept = processes.make_scratch()
    weights = processes.SHARED_MEMORY / f"halyard-{ended.pid}-policy.safetensors"
    weights.write_bytes(b"abc")
    processes.sweep()
    assert not left.exists()
    assert not weights.exists()
    assert kept.exists()
    kept.rmdir()


def test_output_goes_to_the_log_children_included(tmp_path):
    log = tmp_path / "logs" / "engine.log"
    code = (
        "from pathlib import Path; import os; from halyard.cluster.processes import send_output_to;"
        f"send_output_to(Path({str(log)!r})); print('from python', flush=True); os.system('echo from a child')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert log.read_text() == "from python\nfrom a child\n"


def test_waiting_for_processes_ends_with_them(reap):
    stubborn = start(SLEEP)
    reap(stubborn)
    processes.wait_gone([stubborn.pid, 999999], seconds=0.1)
    assert becomes(lambda: not is_running(stubborn.pid))
