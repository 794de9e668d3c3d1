"""The process behind a pool: it answers what comes through its pipe, and dies with its parent.

Started as `python -P -c BOOT SYS_PATH FD PARENT_PID MEMORY_BYTES` with the pipe's end open at FD. Nothing of the
parent's main module is imported here, unlike in `multiprocessing`'s own children.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import itertools
import os
import pickle
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from rewards.failures import failed
from rewards.sample import Judgement, brief

BOOT = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from rewards.worker import main; main(sys.argv[2:])"
MOST_PARTS = 100
LONGEST_REASON = 500
"""So that a reply is always small: the parent reads it in one go, and keeps it."""
_PR_SET_PDEATHSIG = 1

Reply = Judgement | list[Judgement]


class Job(NamedTuple):
    """What a process does: `module.factory(*arguments)` makes the function that judges one item.

    A sealed process reads what a model wrote: it can run no code from text, no program, and reach no network.
    """

    module: str
    factory: str
    arguments: tuple[Any, ...] = ()
    sealed: bool = False


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
    """First the job in and "" (or what went wrong) out; then a list of items in, and one reply for each out.

    None recalls the items that are not begun yet; it is answered with None.
    """
    job: Job = pipe.recv()
    try:
        judge = getattr(importlib.import_module(job.module), job.factory)(*job.arguments)
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {brief(str(error), LONGEST_REASON)}")
        return
    if job.sealed:
        from rewards.seal import seal

        seal()
    if memory:
        _limit(memory)
    pipe.send("")
    recalled = select.poll()
    recalled.register(pipe.fileno(), select.POLLIN)
    while True:
        items = pipe.recv()
        if items is None:
            pipe.send((None, time.process_time(), False))
            continue
        for item in items:
            if recalled.poll(0):
                break
            reply, spent = _reply(judge, item)
            pipe.send((reply, time.process_time(), spent))


def _limit(memory: int) -> None:
    """Allow so many bytes of address space beyond those in use: libraries may map far more than they need."""
    used = 0
    with contextlib.suppress(OSError), open("/proc/self/statm") as statm:  # noqa: PTH123 (pathlib is not needed)
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))


def _reply(
    judge: Callable[[Any], Judgement | list[Judgement]], item: bytes
) -> tuple[Judgement | list[Judgement], bool]:
    """What is judged of an item, and whether this process is spent, for want of memory."""
    try:
        judged = judge(pickle.loads(item))
        return ([_plain(one) for one in judged] if isinstance(judged, list) else _plain(judged)), False
    except MemoryError:
        return failed("memory", "it took more than the process may have"), True
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(last.filename)}:{last.lineno}"  # noqa: PTH119 (pathlib is not needed in here)
        return failed("raised", f"{type(error).__name__}: {_said(error)} ({place})"), False


def _said(error: Exception) -> str:
    try:
        return brief(str(error), LONGEST_REASON)
    except Exception:
        return "an error that cannot be printed"


def _plain(judgement: Judgement) -> Judgement:
    """The judgement in small and plain types, whatever a function filled it with."""
    score = judgement.score if judgement.score is None else float(judgement.score)
    parts = itertools.islice(judgement.parts.items(), MOST_PARTS)
    return Judgement(score, judgement.reason[:LONGEST_REASON], {str(name)[:60]: float(part) for name, part in parts})
