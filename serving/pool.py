"""Who is answered by which engine, and when an engine takes another snapshot.

    lease(snapshot) ──▶ an engine holds it and has room ──▶ at once
                    └─▶ wait in order of arrival ──▶ room, or an engine that takes the snapshot:
                          close its door ▶ let what is in flight end ▶ weights ▶ open

No request is cut off for a swap and none sees two versions: an engine takes a snapshot when nothing is in
flight in it, and is given to nobody before. Those who wait meanwhile are held, not refused.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from configs.serving import ServingConfig
from halyard.errors import HalyardError, SnapshotError
from serving.catalogue import Snapshot
from serving.errors import Refusal
from serving.slots import Holder, Slot, Swap

log = logging.getLogger("halyard.serving")

_KEPT_SWAPS = 200
_CHECK_SECONDS = 0.25
_AGAIN_SECONDS = 0.02
_DAMAGED_SECONDS = 30.0
"""How long a snapshot that could not be loaded is refused before it is tried again: it may have been restored."""
_TRIES = 2
"""How often an engine may fail to load a snapshot before the snapshot is held to be at fault."""


class Verifier(Protocol):
    """What says whether a snapshot's files are sound (`serving.catalogue.Catalogue`)."""

    def verify(self, snapshot: Snapshot) -> None:
        """Raise SnapshotError where they are not."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    snapshot: Snapshot
    sequences: int
    since: float
    turn: asyncio.Future[Slot]


class Pool:
    """The engines of a service, and the requests that wait for them. Used from one event loop."""

    def __init__(self, engines: Sequence[Holder], verifier: Verifier, config: ServingConfig) -> None:
        self.slots = [Slot(engine) for engine in engines]
        self.swaps: deque[Swap] = deque(maxlen=_KEPT_SWAPS)
        self.swap_count = 0
        self.restarts = 0
        self._verifier = verifier
        self._config = config
        self._capacity = config.engine.max_num_seqs
        self._waiters: list[_Waiter] = []
        self._refused: dict[str, tuple[float, str]] = {}
        self._failures: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Requests that wait for an engine."""
        return len(self._waiters)

    @property
    def in_flight(self) -> int:
        """Sequences that engines are working on."""
        return sum(slot.in_flight for slot in self.slots)

    @property
    def ready(self) -> bool:
        """Whether an engine serves, or is taking other weights just now."""
        return any(slot.engine.alive for slot in self.slots)

    def start(self) -> None:
        """Begin to look after the engines."""
        self._watch = asyncio.create_task(self._look_after())

    def prefer(self, snapshot: Snapshot) -> None:
        """Have engines that were never used hold this snapshot."""
        for slot in self.slots:
            slot.last = slot.last or snapshot

    async def close(self) -> None:
        """Stop the engines; whoever waits is refused."""
        if self._again is not None:
            self._again.cancel()
        tasks = [task for task in (self._watch, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._refuse(lambda _: True, Refusal(503, "the service is shutting down", retry_after=5))
        await asyncio.gather(*(slot.engine.stop() for slot in self.slots), return_exceptions=True)

    @asynccontextmanager
    async def lease(self, snapshot: Snapshot, sequences: int, *, seconds: float | None = None) -> AsyncIterator[Slot]:
        """An engine that holds the snapshot for the whole block, with room for so many sequences.

        Raises:
            Refusal: 429 when too many wait already, 503 when the wait was too long, 410 for a damaged snapshot.
        """
        slot = await self._turn(snapshot, sequences, seconds or self._config.limits.queue_seconds)
        try:
            yield slot
        finally:
            slot.count(-sequences)
            self._pump()

    def beside(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot is held, or can be while others are served as before."""
        return len(self.slots) > 1 or any(slot.holds(snapshot) for slot in self.slots)

    async def warm(self, snapshot: Snapshot) -> None:
        """Return when an engine holds the snapshot.

        Raises:
            Refusal: it could not be loaded, or not in time.
        """
        async with self.lease(snapshot, 0, seconds=self._config.start_seconds):
            return

    async def _turn(self, snapshot: Snapshot, sequences: int, seconds: float) -> Slot:
        """The engine that a request may use, its sequences booked."""
        self._admit(snapshot, sequences)
        waiter = _Waiter(snapshot, sequences, time.monotonic(), asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._pump()
        used = False
        try:
            async with asyncio.timeout(seconds):
                slot = await waiter.turn
            used = True
            return slot
        except TimeoutError:
            message = f"no engine was free for {snapshot.id} within {seconds:g} s"
            raise Refusal(503, message, code="queue_timeout", retry_after=self._expected_wait()) from None
        finally:
            if not used:
                self._leave(waiter)

    def _admit(self, snapshot: Snapshot, sequences: int) -> None:
        until, reason = self._refused.get(snapshot.id, (0.0, ""))
        if time.monotonic() < until:
            raise Refusal(410, reason, code="snapshot_damaged")
        if sequences and len(self._waiters) >= self._config.limits.queue and not self._room(snapshot, sequences):
            message = f"{len(self._waiters)} requests wait already, as many as may; try again in a moment"
            raise Refusal(429, message, code="queue_full", retry_after=self._expected_wait())

    def _leave(self, waiter: _Waiter) -> None:
        """Take a waiter that gave up off the list; a turn that it was given meanwhile goes to the next."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
            waiter.turn.result().count(-waiter.sequences)
        self._pump()

    def _room(self, snapshot: Snapshot, sequences: int) -> Slot | None:
        """The engine with the least to do that holds the snapshot and has room."""
        able = [s for s in self.slots if s.holds(snapshot) and s.in_flight + sequences <= self._capacity]
        return min(able, key=lambda slot: slot.in_flight) if able else None

    def _pump(self) -> None:
        """Give turns to those who wait, in order of arrival, and have engines take what is wanted."""
        wanted: dict[str, Snapshot] = {}
        for waiter in list(self._waiters):
            if waiter.snapshot.id in wanted or waiter.turn.done():
                continue
            slot = self._room(waiter.snapshot, waiter.sequences)
            if slot is None:
                wanted[waiter.snapshot.id] = waiter.snapshot  # nobody overtakes within one version
                continue
            self._waiters.remove(waiter)
            slot.count(waiter.sequences)
            waiter.turn.set_result(slot)
        for snapshot in wanted.values():
            self._bring(snapshot)

    def _bring(self, snapshot: Snapshot) -> None:
        """Have an engine take a snapshot that is waited for, unless one does already or none may."""
        coming = [slot for slot in self.slots if slot.target is not None and slot.target.weights == snapshot.weights]
        if any(slot.engine.alive for slot in coming):
            return
        held = any(slot.holds(snapshot) for slot in self.slots)
        able = [slot for slot in self.slots if self._may_take(slot, snapshot, spare=held)]
        if coming:  # an engine that starts takes long: one that lives may take the snapshot meanwhile
            able = [slot for slot in able if slot.engine.alive]
        if able:
            beside = {slot: slot.engine.takes_beside(snapshot) for slot in able}
            slot = min(able, key=lambda slot: (not beside[slot], self._demand(slot), slot.in_flight, slot.since))
            self._begin(slot, snapshot)
        elif self._again is None:
            self._again = asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._pump_again)

    def _pump_again(self) -> None:
        self._again = None
        self._pump()

    def _may_take(self, slot: Slot, snapshot: Snapshot, *, spare: bool) -> bool:
        """Whether an engine can be taken from what it holds.

        Ones in demand can when they had their time; idle ones when they were idle for as long as the change takes,
        so that requests of two versions that come in turns do not change the weights each time. A `spare` is wanted
        beside an engine that holds the snapshot already: for that only one will do that nobody used for a while.
        """
        now, dwell = time.monotonic(), self._config.dwell_seconds
        if slot.empty:
            return now >= slot.rest
        if slot.target is not None or slot.holds(snapshot):
            return False
        if slot.engine.takes_beside(snapshot):
            return True
        idle = not self._demand(slot)
        if spare:
            return idle and now - slot.used >= dwell
        return now - slot.since >= dwell or (idle and now - slot.used >= slot.cost)

    def _demand(self, slot: Slot) -> int:
        """Requests in flight in an engine, and those that wait for what it holds and no other engine does."""
        mine = slot.engine.snapshot
        elsewhere = any(other is not slot and other.holds(mine) for other in self.slots)
        return slot.in_flight + (0 if elsewhere else sum(waiter.snapshot.weights == mine for waiter in self._waiters))

    def _begin(self, slot: Slot, snapshot: Snapshot) -> None:
        if slot.empty and slot.since:
            log.error("%s died with %d answers in flight; it is started again", slot.engine.name, slot.in_flight)
            self.restarts += 1
        slot.target = snapshot
        task = asyncio.create_task(self._take(slot, snapshot))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, slot: Slot, snapshot: Snapshot) -> None:
        """Have an engine hold a snapshot, once nothing is in flight in it."""
        old, start = slot.engine.snapshot, time.monotonic()
        try:
            await asyncio.to_thread(self._verifier.verify, snapshot)
            if not slot.engine.takes_beside(snapshot):
                await slot.drained()
            drain = time.monotonic() - start
            running = slot.engine.alive
            load = await slot.engine.take(snapshot)
            slot.cost = min(load, self._config.dwell_seconds) if running else slot.cost
            slot.last, slot.since, slot.failures = snapshot, time.monotonic(), 0
            self._failures.pop(snapshot.id, None)
            self._record(slot, old, snapshot, drain=drain, load=load)
        except SnapshotError as error:
            self._give_up(snapshot, str(error))
        except HalyardError as error:
            log.error("%s", error)
            self._failed(slot, snapshot, str(error))
        finally:
            slot.target = None
            self._pump()

    def _failed(self, slot: Slot, snapshot: Snapshot, reason: str) -> None:
        """Leave an engine alone for longer and longer; a snapshot that fails again and again is at fault."""
        slot.failures += 1
        slot.rest = time.monotonic() + min(30.0, 2.0 ** (slot.failures - 1) - 1)
        self._failures[snapshot.id] = self._failures.get(snapshot.id, 0) + 1
        if self._failures[snapshot.id] >= _TRIES:
            del self._failures[snapshot.id]
            self._give_up(snapshot, reason)

    def _give_up(self, snapshot: Snapshot, reason: str) -> None:
        log.error("%s is not served: %s", snapshot.id, reason)
        self._refused[snapshot.id] = (time.monotonic() + _DAMAGED_SECONDS, f"{snapshot.id} cannot be served: {reason}")
        refusal = Refusal(410, self._refused[snapshot.id][1], code="snapshot_damaged")
        self._refuse(lambda waiter: waiter.snapshot == snapshot, refusal)

    def _record(self, slot: Slot, old: Snapshot | None, new: Snapshot, *, drain: float, load: float) -> None:
        waits = [time.monotonic() - waiter.since for waiter in self._waiters if waiter.snapshot == new]
        swap = Swap(
            time=time.time(),
            engine=slot.engine.name,
            old=old.id if old else None,
            new=new.id,
            drain=drain,
            load=load,
            held=len(waits),
            longest_wait=max(waits, default=0.0),
        )
        self.swaps.append(swap)
        self.swap_count += 1
        log.info("%s holds %s: %.3f s to drain, %.3f s to load", swap.engine, swap.new, drain, load)

    def _refuse(self, chosen: Callable[[_Waiter], bool], refusal: Refusal) -> None:
        for waiter in list(self._waiters):
            if chosen(waiter) and not waiter.turn.done():
                waiter.turn.set_exception(refusal)

    def _expected_wait(self) -> float:
        """Seconds after which another try may find room."""
        return 1.0 + len(self._waiters) / (self._capacity * len(self.slots))

    async def _look_after(self) -> None:
        """Start engines that are empty or died, end those that stall, and give turns that came by time alone."""
        while True:
            for slot in self.slots:
                self._mend(slot)
            self._pump()
            await asyncio.sleep(_CHECK_SECONDS)

    def _mend(self, slot: Slot) -> None:
        if slot.engine.alive and slot.silent_for() > self._config.stall_seconds:
            log.error("%s has given no token for %g s", slot.engine.name, self._config.stall_seconds)
            slot.engine.kill()
        elif slot.empty and slot.last is not None and time.monotonic() >= slot.rest:
            self._begin(slot, slot.last)
