"""The process that drives a run, found again from the run's folder by whoever looks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

_SLACK = 2.0  # seconds by which clocks of processes and of files may differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A living driver: its process id, and since when (Unix seconds) it holds the run."""

    pid: int
    since: float


def find_driver(run: Path) -> Driver | None:
    """The process that holds the run's lock; None when nobody drives it.

    A killed driver leaves its number behind, which another process may have by now: that one is younger than the lock.
    """
    lock = run / "lock"
    try:
        pid, since = int(lock.read_text(encoding="utf-8")), lock.stat().st_mtime
        process = psutil.Process(pid)
        lives = process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= since + _SLACK
    except (OSError, ValueError, psutil.Error):
        return None
    return Driver(pid=pid, since=since) if lives else None
