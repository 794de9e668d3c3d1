"""Seconds by phase of a step, also of phases that overlap or run many times at once."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Clock:
    """Wall seconds in which a phase was going on at least once.

    A hundred prompts that generate at the same time for two seconds count as two seconds of `generate`.

    >>> clock = Clock(now=iter([0.0, 1.0, 3.0, 5.0]).__next__)
    >>> with clock.phase("generate"):
    ...     pass
    >>> clock.lap()
    {'generate': 2.0, 'step': 5.0}
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._start = now()
        self._active: Counter[str] = Counter()
        self._since: dict[str, float] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time inside as the phase's."""
        if self._active[name] == 0:
            self._since[name] = self._now()
        self._active[name] += 1
        try:
            yield
        finally:
            self._active[name] -= 1
            if self._active[name] == 0:
                self._seconds[name] += self._now() - self._since.pop(name)

    def add(self, name: str, seconds: float) -> None:
        """Count seconds that were measured elsewhere."""
        self._seconds[name] += seconds

    def lap(self) -> dict[str, float]:
        """Seconds by phase since the last lap, and of the whole lap as `step`."""
        now = self._now()
        for name, since in self._since.items():
            self._seconds[name] += now - since
            self._since[name] = now
        lap = {**self._seconds, "step": now - self._start}
        self._seconds.clear()
        self._start = now
        return lap
