"""Runs started by a process that they outlive: in a session of their own, with no parent but the system."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from halyard.cluster.processes import MARK, OWNER

STARTED_BY = "HALYARD_STARTED_BY"
"""Environment variable with the name of whoever started a run over HTTP; the run writes it down."""
_DETACH = (
    "import subprocess, sys; log = open(sys.argv[1], 'ab'); process = subprocess.Popen(sys.argv[2:], stdout=log, "
    "stderr=log, stdin=subprocess.DEVNULL, start_new_session=True); print(process.pid, flush=True)"
)
"""A process between the two, which ends at once: what is left of it is nobody's child, and ends with nobody."""


def launch(arguments: Sequence[str], log: Path, environment: Mapping[str, str], *, who: str) -> int:
    """The process id of `halyard ARGUMENTS`, which goes on when this process ends; its output goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    own = {name: value for name, value in environment.items() if name not in (MARK, OWNER)} | {STARTED_BY: who}
    command = [sys.executable, "-c", _DETACH, str(log), sys.executable, "-m", "halyard.cli.main", *arguments]
    done = subprocess.run(command, env=own, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout)


def started_by() -> str:
    """Who started this run over HTTP; empty for one that was started by hand."""
    return os.environ.get(STARTED_BY, "")
