"""Rewards that misbehave in every way that a researcher's function may."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

from halyard import Sample, reward


@reward
def obedient(sample: Sample) -> float:
    """1, always."""
    return 1.0


def _loop(sample: Sample) -> float:
    while True:
        pass


def _raise(sample: Sample) -> float:
    raise ValueError("on purpose")


DEEDS = {
    "loop": _loop,
    "raise": _raise,
    "sleep": lambda sample: time.sleep(3600),
    "exit": lambda sample: sys.exit(3),
    "die": lambda sample: os.kill(os.getpid(), 9),
    "nan": lambda sample: float("nan"),
    "none": lambda sample: None,
    "memory": lambda sample: len(bytearray(3 * 2**30)),
    "recurse": lambda sample: by_request(sample),
    "print": lambda sample: 1.0 if print("a reward may print") is None else 0.0,
}


@reward
def by_request(sample: Sample) -> Any:
    """Does what the answer says."""
    return DEEDS.get(sample.answer, lambda sample: 1.0)(sample)


@reward
async def patient(sample: Sample, seconds: float = 0.01) -> float:
    """Waits, then raises or pays."""
    await asyncio.sleep(seconds)
    if sample.answer == "raise":
        raise RuntimeError("on purpose")
    return 1.0
