"""One process that judges, and the pipe to it: each item in bounded time, whatever the item does."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from rewards.failures import failed
from rewards.sample import Judgement
from rewards.worker import BOOT, Job, Reply

PATIENCE = 5
"""Times a limit that an item may take by the clock. The limits themselves do not count what others kept the process
from working, so that a busy machine does not fail what an idle one judges."""
SLOW = 0.1
"""Share of the deadline after which an item is slow, and others no longer wait for it."""
LIFETIME = 10_000
"""Verdicts after which a process is replaced, as what judges may keep a little memory of each."""
START_SECONDS = 120.0
_ENVIRONMENT = {"SYMPY_GROUND_TYPES": "python", "MPMATH_NOGMPY": "1", "OMP_NUM_THREADS": "1"}
"""gmpy2 would do its arithmetic where no limit is heard, and out of proportion to its use here."""


class WorkerProcess:
    """A process doing one job; `memory` is what it may take beyond its start, in bytes, or 0 for no limit."""

    def __init__(self, job: Job, memory: int) -> None:
        self._job, self._memory = job, memory
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._cpu = 0.0
        self._look: tuple[float, float] | None = None
        self._judged = 0
        self._spent = self._closed = False

    @property
    def ready(self) -> bool:
        """Whether it can be sent items at once."""
        return self._pipe is not None

    @property
    def worn(self) -> bool:
        """Whether it is to be replaced before it judges more."""
        return self._spent or self._judged >= LIFETIME

    def start(self) -> str:
        """Start the process, anew if there is one; empty when it is ready to judge, else why it is not."""
        self.reap()
        if self._closed:
            return "the pool was closed"
        ours, theirs = multiprocessing.Pipe()
        with theirs:
            try:
                self._process = self._spawn(theirs.fileno())
            except OSError as error:
                ours.close()
                return str(error)
        self._pipe, self._judged, self._spent = ours, 0, False
        if self._closed:  # meanwhile, by another thread
            _kill(self._process)
        fault = self._handshake(ours)
        if fault:
            self.reap()
        return fault

    def _spawn(self, descriptor: int) -> subprocess.Popen[bytes]:
        arguments = [json.dumps(sys.path), str(descriptor), str(os.getpid()), str(self._memory)]
        return subprocess.Popen(
            [sys.executable, "-P", "-c", BOOT, *arguments],
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            process_group=0,
            env={**os.environ, **_ENVIRONMENT},
        )

    def _handshake(self, pipe: Connection) -> str:
        try:
            pipe.send(self._job)
            fault = pipe.recv() if pipe.poll(START_SECONDS) else f"no word from it in {START_SECONDS:g} s"
        except (EOFError, OSError):
            return f"it ended with {self._exit_code()}"
        self._cpu = self._cpu_seconds()
        return fault

    def send(self, items: Sequence[bytes]) -> str:
        """Hand items over, starting the process if there is none, or it died idle; empty, or why that cannot be."""
        if self._pipe:
            with suppress(OSError):
                self._pipe.send(items)
                return ""
        fault = self.start()
        if self._pipe and not fault:
            try:
                self._pipe.send(items)
            except OSError as error:
                return str(error)
        return fault

    def receive(self, deadline: float, slow: Callable[[], None]) -> Reply | None:
        """The reply to an item; a failed judgement, and no process, when it took too long or the process died.

        `slow` is called, once, when the item turns out to be slow. None is the answer to a recall.
        """
        began, self._look = time.monotonic(), None
        try:
            if not self._answers(SLOW * deadline, began):
                slow()
                if not self._answers(deadline, began):
                    self.reap()
                    return failed("timeout", f"no verdict in {deadline:g} s, killed")
            return self._reply()
        except (EOFError, OSError, pickle.UnpicklingError):
            return self._died()

    def recall(self) -> None:
        """Take back all items but the one at work, or all, if none is; to be followed by `receive`, and `settle`."""
        if self._pipe:
            with suppress(OSError):
                self._pipe.send(None)

    def settle(self, deadline: float) -> None:
        """Read on until the process has heard of the recall; it may have begun on another item before."""
        while self._pipe and self.receive(deadline, _nothing) is not None:
            pass

    def close(self) -> None:
        """Kill the process, from whichever thread; it is not started again."""
        self._closed = True
        if self._process:
            _kill(self._process)

    def reap(self) -> None:
        """Leave no process and no open pipe behind."""
        if self._pipe:
            self._pipe.close()
            self._pipe = None
        if self._process:
            _kill(self._process)
            self._process.wait()

    def _reply(self) -> Reply | None:
        assert self._pipe is not None
        reply, self._cpu, self._spent = self._pipe.recv()
        self._judged += 1
        return reply

    def _answers(self, limit: float, began: float) -> bool:
        """Wait for the process to answer, until it has used up a limit of its own time, or of our patience."""
        assert self._pipe is not None
        wait = limit
        while not self._pipe.poll(wait):
            elapsed = time.monotonic() - began
            spent = self._spent_seconds(elapsed)
            if spent >= limit or elapsed >= PATIENCE * limit:
                return False
            wait = max(0.01, min(limit - spent, PATIENCE * limit - elapsed))
        return True

    def _spent_seconds(self, elapsed: float) -> float:
        """How long an item has worked, or slept since it was first looked at, but not waited for a processor."""
        assert self._process is not None
        worked = self._cpu_seconds() - self._cpu
        try:
            delayed = int(Path(f"/proc/{self._process.pid}/schedstat").read_bytes().split()[1]) / 1e9
        except (OSError, IndexError):  # another system than Linux
            return worked
        self._look = self._look or (elapsed, delayed)
        return max(worked, elapsed - self._look[0] - (delayed - self._look[1]))

    def _cpu_seconds(self) -> float:
        assert self._process is not None
        with suppress(psutil.Error):
            times = psutil.Process(self._process.pid).cpu_times()
            return times.user + times.system
        return self._cpu

    def _died(self) -> Judgement:
        code = self._exit_code()
        if self._closed:
            return failed("closed", "the pool was closed")
        return failed("crash", f"the process died with exit code {code}")

    def _exit_code(self) -> int | None:
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        self.reap()
        return self._process.returncode


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it started."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _nothing() -> None:
    """What is done about a slow item that nobody waits for."""
