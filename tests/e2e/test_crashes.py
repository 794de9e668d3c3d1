"""What a crash does: nothing is lost or trained twice, and at staleness 0 the resumed weights are the same bits."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.commands import RECIPES, ROOT, descendants, halyard, lines, started, wait_for

from halyard.cluster.processes import kill_tree
from halyard.runs.driver import find_driver
from halyard.runs.reading.runs import show_run
from serving.runs import Runs

STEPS = 8


def metrics(folder: Path) -> list[dict]:
    return lines(folder / "stages" / "01-rl" / "metrics.jsonl")


def weights(folder: Path) -> str:
    (snapshot,) = (folder / "snapshots").glob("01-rl*")
    files = sorted(snapshot.glob("*.safetensors"))
    assert files, f"no weights in {snapshot}"
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def run(folder: Path, *more: str) -> tuple[str, ...]:
    return ("run", str(RECIPES / "crash.yaml"), "--runs", str(folder.parent), "--name", folder.name, *more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing happened to."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    result = halyard(*run(folder), cwd=folder.parent)
    assert result.returncode == 0, result.stdout + result.stderr
    assert [line["step"] for line in metrics(folder)] == list(range(1, STEPS + 1))
    return folder


def resume_equals(folder: Path, whole: Path, *overrides: str) -> None:
    result = halyard(*run(folder, *overrides, "--resume"), cwd=folder.parent)
    assert result.returncode == 0, result.stdout + result.stderr
    assert [line["step"] for line in metrics(folder)] == list(range(1, STEPS + 1))
    assert [line["loss"] for line in metrics(folder)] == [line["loss"] for line in metrics(whole)]
    assert weights(folder) == weights(whole)


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_the_driver_is_killed(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "driver"
    with started(*run(folder), cwd=tmp_path) as process:
        wait_for("five steps", lambda: len(metrics(folder)) >= 5, process)
        family = psutil.Process(process.pid).children(recursive=True)
        workers = [one for kind in ("Engine", "Learner") for one in descendants(process.pid, kind)]
        assert workers
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert gone(alive), f"outlived their driver: {[p.cmdline()[:2] for p in alive if p.is_running()]}"
    refused = halyard(*run(folder), cwd=tmp_path, timeout=60)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    resume_equals(folder, whole)
    # Ray's own agents notice late that their node is gone; the next start sweeps what is left.
    assert gone(family), f"outlived the next start: {[p.cmdline()[:2] for p in family if p.is_running()]}"


def test_a_learner_is_killed(whole: Path, tmp_path: Path) -> None:
    """The run makes a new learner by itself, which goes on from the newest checkpoint, and ends with the same bits."""
    folder = tmp_path / "learner"
    with started(*run(folder), cwd=tmp_path) as process:
        wait_for("four steps", lambda: len(metrics(folder)) >= 4, process)
        (victim,) = descendants(process.pid, "LearnerRank")
        victim.kill()
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    events = [event["event"] for event in lines(folder / "events.jsonl")]
    assert events.count("started") == events.count("learner_restart") == events.count("resumed") == 1
    assert [line["step"] for line in metrics(folder)] == list(range(1, STEPS + 1))
    assert [line["loss"] for line in metrics(folder)] == [line["loss"] for line in metrics(whole)]
    assert weights(folder) == weights(whole)


def test_a_learner_is_killed_that_may_not_be_replaced(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "learner"
    with started(*run(folder, "cluster.learner_restarts=0"), cwd=tmp_path) as process:
        wait_for("four steps", lambda: len(metrics(folder)) >= 4, process)
        (victim,) = descendants(process.pid, "LearnerRank")
        victim.kill()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out + err
    assert "cluster.learner_restarts allows 0 new learners" in err
    assert "Traceback" not in err
    resume_equals(folder, whole, "cluster.learner_restarts=0")


def test_an_engine_is_killed(whole: Path, tmp_path: Path) -> None:
    """The run starts the engine again by itself, and ends with the same bits."""
    folder = tmp_path / "engine"
    with started(*run(folder), cwd=tmp_path) as process:
        wait_for("four steps", lambda: len(metrics(folder)) >= 4, process)
        victims = descendants(process.pid, "EngineCore")
        assert victims, "no engine core to kill"
        for victim in victims:
            victim.kill()
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert [line["step"] for line in metrics(folder)] == list(range(1, STEPS + 1))
    assert weights(folder) == weights(whole)


def test_one_interrupt_finishes_the_step_and_writes_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "interrupted"
    with started(*run(folder), cwd=tmp_path) as process:
        wait_for("two steps", lambda: len(metrics(folder)) >= 2, process)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert 2 <= len(metrics(folder)) < STEPS
    assert (folder / "stages" / "01-rl" / f"checkpoint-{len(metrics(folder)):06d}").is_dir()


def test_a_run_outlives_the_service_that_started_it_and_is_operated_by_another(whole: Path, tmp_path: Path) -> None:
    """Started by one process, which ends; paused, stopped and resumed by this one; the bits are the same."""
    folder = tmp_path / "operated"
    first = (
        "import asyncio, sys; from pathlib import Path; from serving.runs import Runs\n"
        "print(asyncio.run(Runs(Path(sys.argv[1]), {}).start(sys.argv[2], [], 'operated', who='first')).state)"
    )
    command = [sys.executable, "-c", first, str(tmp_path), str(RECIPES / "crash.yaml")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, env=environment, check=True, start_new_session=True, timeout=240)
    service = Runs(tmp_path, {})
    try:
        until(lambda: len(metrics(folder)) >= 2, "two steps")
        asyncio.run(service.order("operated", "pause", who="ops", why="a look"))
        until(lambda: show_run(folder).state == "paused", "the pause")
        done = len(metrics(folder))
        assert (folder / "stages" / "01-rl" / f"checkpoint-{done:06d}").is_dir()
        asyncio.run(service.order("operated", "stop", who="ops"))
        until(lambda: show_run(folder).state == "stopped", "the end")
        assert len(metrics(folder)) == done < STEPS
        asyncio.run(service.order("operated", "resume", who="ops"))
        until(lambda: show_run(folder).state not in ("starting", "running"), "the last step")
        assert show_run(folder).state == "finished", (tmp_path / ".launches" / "operated.log").read_text()
    finally:
        if (driver := find_driver(folder)) is not None:
            kill_tree(driver.pid)
    assert [line["loss"] for line in metrics(folder)] == [line["loss"] for line in metrics(whole)]
    assert weights(folder) == weights(whole)
    told = [event for event in lines(folder / "events.jsonl") if event["event"] in ("started", "order", "paused")]
    assert [(event["event"], event["who"]) for event in told] == [
        ("started", "first"),
        ("order", "ops"),
        ("paused", "ops"),
        ("order", "ops"),
        ("started", "ops"),
    ]


def until(condition: Callable[[], object], what: str, seconds: float = 240) -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.1)
