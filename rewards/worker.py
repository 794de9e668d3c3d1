"""The process behind a pool: it answers what comes through its pipe, and dies with its parent.

Started as `python -P -c BOOT SYS_PATH FD PARENT_PID MEMORY_BYTES` with the pipe's end open at FD. Nothing of the
parent's main module is imported here, unlike in `multiprocessing`'s own children.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import pickle
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from rewards.sample import Judgement

BOOT = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from rewards.worker import main; main(sys.argv[2:])"
_PR_SET_PDEATHSIG = 1


class Job(NamedTuple):
    """What a process does: `module.factory(*arguments)` makes the function that judges one item."""

    module: str
    factory: str
    arguments: tuple[Any, ...] = ()


def main(arguments: list[str]) -> None:
    """Serve until the pipe closes."""
    descriptor, parent, memory = map(int, arguments)
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the parent decides what it means
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _serve(Connection(descriptor), memory)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _serve(pipe: Connection, memory: int) -> None:
    """First the job in and "" (or what went wrong) out; then a list of items in, and one reply for each out."""
    job: Job = pipe.recv()
    try:
        judge = getattr(importlib.import_module(job.module), job.factory)(*job.arguments)
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    pipe.send("")
    while True:
        for item in pipe.recv():
            pipe.send((_judgement(judge, item), time.process_time()))


def _judgement(judge: Callable[[Any], Judgement], item: bytes) -> Judgement:
    try:
        return judge(pickle.loads(item))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(last.filename)}:{last.lineno}"  # noqa: PTH119 (pathlib is not needed in here)
        return Judgement(None, f"{type(error).__name__} raised: {error} ({place})")
