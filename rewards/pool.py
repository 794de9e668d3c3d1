"""Processes that judge, each at most for a time: what takes longer is killed, and replaced.

One thread a process feeds it through a pipe, so that a pool can be used from any thread and any event loop,
and no signal handler is needed. (An executor cannot give up on one item; an alarm works in main threads only.)
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import psutil

from rewards.sample import Judgement
from rewards.worker import BOOT, Job

BATCH = 32
"""Items sent to a process at a time."""
PATIENCE = 5
"""Times the deadline that an item may take by the clock; the deadline itself is processor time, so that a busy
machine does not fail what an idle one judges."""
START_SECONDS = 120.0
_ENVIRONMENT = {"SYMPY_GROUND_TYPES": "python", "MPMATH_NOGMPY": "1", "OMP_NUM_THREADS": "1"}
"""gmpy2 would do its arithmetic where no limit is heard, and out of proportion to its use here."""


class _Item(NamedTuple):
    payload: bytes
    future: Future[Judgement]


class Pool:
    """`workers` processes doing one job; `deadline` in seconds for each item, `memory_gib` for each process."""

    def __init__(self, job: Job, *, workers: int, deadline: float, memory_gib: float = 0) -> None:
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._processes = [WorkerProcess(job, deadline, int(memory_gib * 2**30)) for _ in range(workers)]
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Start the processes, unless they are; the first item would do so as well."""
        with self._lock:
            self._start()

    def _start(self) -> None:
        if not self._threads and not self._closed:
            self._threads = [
                threading.Thread(target=self._feed, args=(process,), name="halyard-rewards", daemon=True)
                for process in self._processes
            ]
            for thread in self._threads:
                thread.start()

    def submit(self, item: Any) -> Future[Judgement]:
        """The judgement on an item, to come; it is always a judgement, never an exception."""
        future: Future[Judgement] = Future()
        try:
            payload = pickle.dumps(item)
        except Exception as error:  # pickling runs the code of whatever the item holds
            future.set_result(Judgement(None, f"cannot be sent to a process: {type(error).__name__}: {error}"))
            return future
        with self._lock:  # so that no item comes to the queue behind the marks of its end
            if self._closed:
                future.set_result(Judgement(None, "the pool is closed"))
            else:
                self._start()
                self._queue.put(_Item(payload, future))
        return future

    async def judge(self, items: Sequence[Any]) -> list[Judgement]:
        """The judgements on items, in their order."""
        return await asyncio.gather(*(asyncio.wrap_future(self.submit(item)) for item in items))

    def close(self) -> None:
        """End the processes; what has not been judged by then fails."""
        with self._lock:
            self._closed = True
        for process in self._processes:
            process.close()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _feed(self, process: WorkerProcess) -> None:
        """Body of a thread: it starts its process, since a child's parent-death signal follows the thread."""
        process.start()
        while items := self._take():
            running = [item for item in items if item.future.set_running_or_notify_cancel()]
            judgements = process.judge([item.payload for item in running])
            for item, judgement in zip(running, judgements, strict=True):
                item.future.set_result(judgement)
        process.reap()

    def _take(self) -> list[_Item]:
        """The next items for one process, its fair share of the queue; none when the pool has been closed."""
        first = self._queue.get()
        if first is None:
            return []
        items = [first]
        share = min(BATCH, 1 + self._queue.qsize() // len(self._processes))
        while len(items) < share:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._queue.put(None)
                break
            items.append(item)
        return items


class WorkerProcess:
    """One process and the pipe to it; started again whenever it had to be killed."""

    def __init__(self, job: Job, deadline: float, memory: int) -> None:
        self._job, self._deadline, self._memory = job, deadline, memory
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._cpu = 0.0
        self._closed = False

    def start(self) -> str:
        """Start the process; empty when it is ready to judge, else why it is not."""
        if self._closed:
            return "the pool was closed"
        ours, theirs = multiprocessing.Pipe()
        with theirs:
            try:
                self._process = self._spawn(theirs.fileno())
            except OSError as error:
                return f"a reward process could not be started: {error}"
        self._pipe = ours
        if self._closed:  # meanwhile, by another thread
            self._process.kill()
        fault = self._handshake(ours)
        if fault:
            self._kill()
        return f"a reward process did not start: {fault}" if fault else ""

    def _spawn(self, descriptor: int) -> subprocess.Popen[bytes]:
        arguments = [json.dumps(sys.path), str(descriptor), str(os.getpid()), str(self._memory)]
        return subprocess.Popen(
            [sys.executable, "-P", "-c", BOOT, *arguments],
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
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

    def judge(self, items: Sequence[bytes]) -> Iterator[Judgement]:
        """One judgement for each item, as they come; the process is replaced as often as it takes."""
        left = deque(items)
        while left:
            fault = "" if self._pipe else self.start()
            if not fault:
                fault = self._send(list(left))
            if fault:
                left.popleft()
                yield Judgement(None, fault)
            while left and self._pipe:
                left.popleft()
                yield self._receive()

    def close(self) -> None:
        """Kill the process, from whichever thread; it is not started again."""
        self._closed = True
        if self._process:
            self._process.kill()

    def reap(self) -> None:
        """Leave no process and no open pipe behind."""
        if self._process:
            self._kill()

    def _send(self, items: list[bytes]) -> str:
        assert self._pipe is not None
        try:
            self._pipe.send(items)
        except OSError:
            return self._died()
        return ""

    def _receive(self) -> Judgement:
        """The next judgement; a failed one, and no process, when it took too long or the process died."""
        assert self._pipe is not None
        began = time.monotonic()
        wait = self._deadline
        try:
            while not self._pipe.poll(wait):
                spent, elapsed = self._cpu_seconds() - self._cpu, time.monotonic() - began
                if spent >= self._deadline or elapsed >= PATIENCE * self._deadline:
                    self._kill()
                    return Judgement(None, f"no verdict within the deadline: killed after {elapsed:.1f} s")
                wait = max(0.01, min(self._deadline - spent, PATIENCE * self._deadline - elapsed))
            judgement, self._cpu = self._pipe.recv()
        except (EOFError, OSError):
            return Judgement(None, self._died())
        return judgement

    def _cpu_seconds(self) -> float:
        assert self._process is not None
        with suppress(psutil.Error):
            times = psutil.Process(self._process.pid).cpu_times()
            return times.user + times.system
        return self._cpu

    def _died(self) -> str:
        return "the pool was closed" if self._closed else f"the reward process died: exit code {self._exit_code()}"

    def _exit_code(self) -> int | None:
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        self._kill()
        return self._process.returncode

    def _kill(self) -> None:
        assert self._process is not None
        if self._pipe:
            self._pipe.close()
            self._pipe = None
        self._process.kill()
        self._process.wait()
