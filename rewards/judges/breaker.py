"""A judge that is down is left alone, but for a look now and then; how long that was, and what it cost, is told."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

from halyard.runs.listeners import Events
from rewards.judges.unanswered import Down

FAILURES = 8
"""Failed tries in a row, of whatever questions, after which a judge is taken to be down."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds between two looks at a judge that is down: doubled each time, and varied by chance."""


@dataclass(slots=True)
class _Outage:
    reason: str
    began: float
    next_look: float
    pause: float
    left_alone: float = 0.0
    looking: bool = False
    lost: int = 0


class Breaker:
    """Whether questions may be sent. `answers` counts those that were answered."""

    def __init__(self, judge: str, event: Events) -> None:
        self._judge, self._event = judge, event
        self._outage: _Outage | None = None
        self._row = 0
        self._news = asyncio.Event()
        self.answers = 0

    async def wait(self, patience: float) -> float:
        """Seconds until the judge was up, or may be looked at.

        Raises:
            Down: it is not within so many seconds, or is known not to be.
        """
        began = time.monotonic()
        while (outage := self._outage) is not None:
            now = time.monotonic()
            left, due = patience - (now - began), outage.next_look - now
            if left <= 0 or outage.left_alone - now > left:
                raise Down(f"down for {now - outage.began:.0f} s: {outage.reason}")
            if due <= 0 and not outage.looking:
                break
            self._news.clear()
            await _until(self._news, left if outage.looking else min(due, left))
        return time.monotonic() - began

    def enter(self) -> bool:
        """Whether a question may be sent now: always while the judge is up, and one at a time to look whether it is."""
        if self._outage is None:
            return True
        if self._outage.looking or time.monotonic() < self._outage.next_look:
            return False
        self._outage.looking = True
        return True

    def answered(self) -> None:
        """Nothing; the judge is up, and an outage is over."""
        self.answers += 1
        self._row = 0
        self.end()

    def failed(self, reason: str, again: float = 0.0) -> None:
        """Nothing; one more try failed, and the judge may ask to be left alone for some seconds."""
        self._row += 1
        if self._outage is not None:
            if self._outage.looking or again:  # others were under way when the judge was found to be down
                self._later(self._outage, again)
        elif self._row >= FAILURES:
            self.open(reason, again)

    def open(self, reason: str, again: float = 0.0) -> None:
        """Nothing; the judge is taken to be down."""
        if self._outage is not None:
            return
        now = time.monotonic()
        self._outage = _Outage(reason, now, now, FIRST_PAUSE)
        self._later(self._outage, again)
        self._event("judge_down", judge=self._judge, reason=reason)

    def let_go(self) -> None:
        """Nothing; whoever looked was called off, and another may look."""
        if self._outage is not None:
            self._outage.looking = False
            self._news.set()

    def lose(self, rollouts: int) -> None:
        """Nothing; so many rollouts could not be judged for it."""
        if self._outage is not None:
            self._outage.lost += rollouts

    def end(self, over: bool = True) -> None:
        """Nothing; an outage has ended, or (not `over`) the run has before it."""
        outage, self._outage = self._outage, None
        if outage is None:
            return
        seconds = round(time.monotonic() - outage.began, 3)
        self._event(
            "judge_outage",
            judge=self._judge,
            seconds=seconds,
            rollouts_lost=outage.lost,
            reason=outage.reason,
            over=over,
        )
        self._news.set()

    def _later(self, outage: _Outage, again: float) -> None:
        now = time.monotonic()
        outage.looking = False
        outage.left_alone = max(outage.left_alone, now + again)
        outage.next_look = max(outage.left_alone, now + outage.pause * random.uniform(0.5, 1.0))
        outage.pause = min(2 * outage.pause, LONGEST_PAUSE)
        self._news.set()


async def _until(news: asyncio.Event, seconds: float) -> None:
    """Nothing, after some news or so many seconds."""
    try:
        await asyncio.wait_for(news.wait(), seconds)
    except TimeoutError:
        return
