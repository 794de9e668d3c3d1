"""Run the `halyard` command as a user would, in a process group of its own that never outlives the test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
RECIPES = Path(__file__).resolve().parent / "recipes"
HALYARD = [sys.executable, "-m", "halyard.cli.main"]


def halyard(*arguments: str, cwd: Path, timeout: float = 420) -> subprocess.CompletedProcess[str]:
    """Result of a command that is waited for; its output is text."""
    with started(*arguments, cwd=cwd) as process:
        out, err = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@contextlib.contextmanager
def started(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that runs meanwhile; whatever is left of its processes is killed at the end."""
    process = subprocess.Popen(
        [*HALYARD, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "140"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    family: set[psutil.Process] = set()
    try:
        yield process
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            family |= set(psutil.Process(process.pid).children(recursive=True))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.wait(timeout=30)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def descendants(pid: int, cmdline: str) -> list[psutil.Process]:
    """Processes below `pid` whose command line or title contains `cmdline`."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if cmdline in " ".join(child.cmdline()):
                found.append(child)
    return found


def wait_for(what: str, condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 240) -> None:
    """Return once `condition` holds; fail if the process ends or the time runs out before."""
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            out, err = process.communicate()
            raise AssertionError(f"halyard ended with {process.returncode} before {what}:\n{out}\n{err}")
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)


def lines(path: Path) -> list[dict]:
    """Whole lines of a JSONL file, none if it is not there yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
