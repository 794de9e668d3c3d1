"""Processes that judge, each at most for a time: what takes longer is killed, and others go on meanwhile.

One thread a process feeds it through a pipe, so that a pool can be used from any thread and any event loop,
and no signal handler is needed. (An executor cannot give up on one item; an alarm works in main threads only.)

There is one process more than may work at a time. When an item turns out to be slow, its process gives its turn
back, together with the items behind it, and the spare one takes over: a kill, and a restart, hold nobody up. No item
waits for a process to start while another could judge it.
"""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from rewards.failures import failed
from rewards.process import WorkerProcess
from rewards.sample import Judgement
from rewards.worker import Job, Reply

BATCH = 32
"""Items sent to a process at a time."""


class _Item(NamedTuple):
    payload: bytes
    deadline: float
    future: Future[Reply]


class Pool:
    """`workers` processes doing one job; `deadline` in seconds for each item.

    `memory_gib` is what each process may take beyond what it has once it is ready; 0 for no limit.
    """

    def __init__(self, job: Job, *, workers: int, deadline: float, memory_gib: float = 0) -> None:
        self._workers, self._deadline = workers, deadline
        self._processes = [WorkerProcess(job, int(memory_gib * 2**30)) for _ in range(workers + 1)]
        self._threads: list[threading.Thread] = []
        self._news = threading.Condition()
        self._waiting: deque[_Item] = deque()
        self._turns = 0
        self._idle = 0
        self._closed = False

    def start(self) -> None:
        """Start the processes, unless they are; the first item would do so as well."""
        with self._news:
            self._start()

    def _start(self) -> None:
        """Start the threads, and through them all processes but the spare one, which may never be needed."""
        if self._threads or self._closed:
            return
        for i, process in enumerate(self._processes):
            arguments = (process, i < self._workers)
            self._threads.append(threading.Thread(target=self._feed, args=arguments, name="rewards", daemon=True))
        for thread in self._threads:
            thread.start()

    def submit(self, item: Any) -> Future[Any]:
        """The judgement on an item, to come; it is always a judgement, never an exception."""
        return self._submit(item, self._deadline)

    def _submit(self, item: Any, deadline: float) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            payload = pickle.dumps(item)
        except Exception as error:  # pickling runs the code of whatever the item holds
            future.set_result(failed("bad sample", f"cannot be sent to a process: {type(error).__name__}: {error}"))
            return future
        with self._news:
            if self._closed:
                future.set_result(failed("closed", "the pool is closed"))
            else:
                self._start()
                self._waiting.append(_Item(payload, deadline, future))
                self._news.notify_all()
        return future

    async def judge(self, items: Sequence[Any]) -> list[Judgement]:
        """The judgements on items, in their order."""
        return await asyncio.gather(*(asyncio.wrap_future(self.submit(item)) for item in items))

    async def judge_together(self, items: Sequence[Any]) -> list[Judgement]:
        """The judgements that the job's function gives on the list of all items, in the time that they have together.

        What fails, fails for all of them.
        """
        if not items:
            return []
        reply = await asyncio.wrap_future(self._submit(list(items), self._deadline * len(items)))
        if isinstance(reply, Judgement):
            return [reply] * len(items)
        if len(reply) != len(items):
            return [failed("bad value", f"{len(reply)} judgements on {len(items)} samples")] * len(items)
        return reply

    def close(self) -> None:
        """End the processes; what has not been judged by then fails."""
        with self._news:
            self._closed = True
            for process in self._processes:
                process.close()
            dropped = list(self._waiting)
            self._waiting.clear()
            self._news.notify_all()
        for item in dropped:
            if item.future.running() or item.future.set_running_or_notify_cancel():
                item.future.set_result(failed("closed", "the pool was closed"))
        for thread in self._threads:
            thread.join()

    def _feed(self, process: WorkerProcess, has_turn: bool) -> None:
        """Body of a thread: it starts its process, since a child's parent-death signal follows the thread."""
        if has_turn and process.start():
            self._hand_back([])
            has_turn = False
        while items := self._take(process, has_turn):
            has_turn = self._judge(process, items)
        process.reap()

    def _judge(self, process: WorkerProcess, items: deque[_Item]) -> bool:
        """See to it that each item is judged, fails, or is handed back; whether the turn is still to be given back."""
        has_turn = True

        def give_way() -> None:
            nonlocal has_turn
            process.recall()
            behind = [items.pop() for _ in range(len(items) - 1)]
            has_turn = False
            self._hand_back(behind[::-1])

        try:
            if fault := process.send([item.payload for item in items]):
                kind = "closed" if self._closed else "not started"
                _fail(items, failed(kind, f"the reward process did not start: {fault}"))
            while items and process.ready:
                reply = process.receive(items[0].deadline, give_way if has_turn else _wait)
                if reply is None:  # recalled before it was begun: the machine is that busy
                    self._hand_back(items, turns=0)
                    break
                items.popleft().future.set_result(reply)
            else:
                if not has_turn:
                    process.settle(self._deadline)
        except Exception as error:  # a fault of our own: nobody may wait for ever because of it
            process.reap()
            _fail(items, failed("crash", f"the pool itself failed: {type(error).__name__}: {error}"))
        if process.ready and not process.worn:
            return has_turn
        if has_turn:
            self._hand_back(items)
        process.start()
        return False

    def _take(self, process: WorkerProcess, has_turn: bool) -> deque[_Item]:
        """The next items for one process, its fair share of those waiting; none when the pool has been closed.

        It gives back the turn that it had, and is counted as idle, at once: else a process that would have to be
        started first would take its place.
        """
        if not process.ready and self._is_missed():
            process.start()
        items: deque[_Item] = deque()
        ready = process.ready
        with self._news:
            self._turns += has_turn
            self._idle += ready
            self._news.notify_all()
            while not items and not self._closed:
                if self._turns and self._waiting and (ready or not self._idle):
                    items = self._share()
                else:
                    self._news.wait()
            self._idle -= ready
            self._turns -= bool(items)
            self._news.notify_all()
        return items

    def _is_missed(self) -> bool:
        """Whether another process is wanted, after waiting until it is; false when the pool has been closed."""
        with self._news:
            while not self._closed and self._turns <= self._idle:
                self._news.wait()
            return not self._closed

    def _share(self) -> deque[_Item]:
        share = min(BATCH, 1 + len(self._waiting) // self._workers)
        taken = [self._waiting.popleft() for _ in range(min(share, len(self._waiting)))]
        return deque(one for one in taken if one.future.running() or one.future.set_running_or_notify_cancel())

    def _hand_back(self, items: Sequence[_Item] | deque[_Item], turns: int = 1) -> None:
        """Give up a turn, or none, and the items that were to be judged in it."""
        with self._news:
            closed = self._closed
            if not closed:
                self._waiting.extendleft(reversed(items))
            self._turns += turns
            self._news.notify_all()
        if closed:
            _fail(deque(items), failed("closed", "the pool was closed"))


def _fail(items: deque[_Item], judgement: Judgement) -> None:
    """Give all items one judgement."""
    while items:
        items.popleft().future.set_result(judgement)


def _wait() -> None:
    """What is done about an item that is slow in a process without a turn: nobody waits for it."""
