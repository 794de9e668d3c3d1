"""Waits with a name and a deadline, and the table of those going on now.

Everything that awaits another process does so inside `waiting(...)`. What is being waited for is kept
in one table of this process, and `watch` writes it to a file for `halyard status`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from halyard.durable import replaced
from halyard.errors import DeadlineError


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One wait going on: what for, for which prompt, since when (Unix seconds), for how long at most."""

    name: str
    prompt: str | None
    since: float
    seconds: float


_keys = itertools.count()
_table: dict[int, Wait] = {}


def current() -> list[Wait]:
    """The waits of this process that are going on, oldest first."""
    return sorted(_table.values(), key=lambda wait: wait.since)


@asynccontextmanager
async def waiting(name: str, *, seconds: float, prompt: str | None = None) -> AsyncIterator[None]:
    """Give the block at most `seconds`, and show it in the table of waits under `name`.

    Raises:
        DeadlineError: the block took longer; what it awaited has been cancelled.
    """
    key = next(_keys)
    deadline = asyncio.timeout(seconds)
    _table[key] = Wait(name=name, prompt=prompt, since=time.time(), seconds=seconds)
    try:
        async with deadline:
            yield
    except TimeoutError:
        if not deadline.expired():
            raise
        about = f" (prompt {prompt})" if prompt else ""
        raise DeadlineError(
            f"waited {seconds:g} s for {name}{about}, which is its deadline. Look at the logs of that process, "
            "or raise the limit under cluster.deadlines."
        ) from None
    finally:
        del _table[key]


@asynccontextmanager
async def watch(path: Path, *, every: float = 1.0) -> AsyncIterator[None]:
    """Keep the table of waits in the JSON file at `path`, rewritten as a whole each `every` seconds."""
    task = asyncio.create_task(_keep_writing(path, every))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        path.unlink(missing_ok=True)


async def _keep_writing(path: Path, every: float) -> None:
    while True:
        write(path)
        await asyncio.sleep(every)


def write(path: Path) -> None:
    """Write the table to `path` in one rename: {"pid", "written", "waits": [...]}."""
    table = {"pid": os.getpid(), "written": time.time(), "waits": [asdict(wait) for wait in current()]}
    with replaced(path, durable=False) as unfinished:
        unfinished.write_text(json.dumps(table, indent=1))
