"""The books of a pool: an engine with what is in flight in it, and what its changes of snapshot took."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol

from serving.catalogue import Snapshot
from serving.engine import Frontend


class Holder(Protocol):
    """What the pool asks of an engine (`serving.engine.Engine`)."""

    name: str
    snapshot: Snapshot | None

    @property
    def frontend(self) -> Frontend:
        """What answers."""
        ...

    @property
    def alive(self) -> bool:
        """Whether its vLLM runs."""
        ...

    def frontend_of(self, snapshot: Snapshot) -> Frontend:
        """What answers with a snapshot that it serves."""
        ...

    @property
    def adapters(self) -> list[str]:
        """Names of the adapters that it holds over its snapshot."""
        ...

    def serves(self, snapshot: Snapshot) -> bool:
        """Whether it answers with this snapshot."""
        ...

    def takes_beside(self, snapshot: Snapshot) -> bool:
        """Whether it takes this snapshot while it answers requests as before."""
        ...

    def silent_for(self) -> float:
        """Seconds since its last token."""
        ...

    async def take(self, snapshot: Snapshot) -> float:
        """Hold another snapshot; returns the seconds."""
        ...

    def kill(self) -> None:
        """End its processes at once; what is in flight gets an error."""
        ...

    async def stop(self) -> None:
        """End it, when nothing is in flight."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """One change of an engine's snapshot, in seconds: `drain` until nothing was in flight, `load` of the weights.

    `held` requests waited for it; `longest_wait` is what the first of them had waited when it was done.
    """

    time: float
    engine: str
    old: str | None
    new: str
    drain: float
    load: float
    held: int
    longest_wait: float


@dataclass(slots=True, eq=False)
class Slot:
    """An engine with its books.

    `in_flight` counts sequences; `target` is what it is about to hold, and its door is closed while there is
    one; `last` is what it held or should hold, for a restart; `since` is when it took that, `used` when it was
    last asked for something, `busy` since when it has had something in flight; `cost` the seconds that its last
    change of weights took; `rest` until when it is left alone after failing.
    """

    engine: Holder
    in_flight: int = 0
    target: Snapshot | None = None
    last: Snapshot | None = None
    since: float = 0.0
    used: float = 0.0
    busy: float = 0.0
    cost: float = 0.0
    rest: float = 0.0
    failures: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def holds(self, snapshot: Snapshot | None) -> bool:
        """Whether it answers with this snapshot now."""
        return self.target is None and self.engine.alive and snapshot is not None and self.engine.serves(snapshot)

    @property
    def empty(self) -> bool:
        """Whether it has no living vLLM, and none is being started."""
        return self.target is None and not self.engine.alive

    def count(self, sequences: int) -> None:
        """Book sequences that come (or, negative, go)."""
        self.used = time.monotonic()
        self.busy = self.busy if self.in_flight else self.used
        self.in_flight += sequences
        if self.in_flight:
            self._idle.clear()
        else:
            self._idle.set()

    def silent_for(self) -> float:
        """Seconds that what is in flight has been given nothing; an engine that was idle before is not to blame."""
        return min(self.engine.silent_for(), time.monotonic() - self.busy) if self.in_flight else 0.0

    async def drained(self) -> None:
        """Return when nothing is in flight."""
        while self.in_flight:
            await self._idle.wait()

    def state(self) -> str:
        """What it is doing, in a word."""
        if self.target is not None:
            return "draining" if self.in_flight else "loading" if self.engine.alive else "starting"
        return "serving" if self.engine.alive else "dead" if self.last else "empty"
