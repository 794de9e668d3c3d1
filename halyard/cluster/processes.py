"""Processes that must not outlive their run: parent-death signals, marks, and the sweep of strays.

The driver marks its environment with its own process id and start time; Ray's processes, engine cores
and workers inherit the mark. A later run can then tell what a killed driver left behind from what
belongs to a run that is still alive.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import psutil

MARK = "HALYARD_DRIVER"
"""Environment variable that names the driver, `PID:START`."""
OWNER = "HALYARD_ENGINE_OWNER"
"""Environment variable that names the process which owns a vLLM engine; its other processes die with it."""
SCRATCH_PREFIX = "halyard-"
"""How names of scratch begin, in temporary folders and in shared memory; the driver's process id follows."""
SHARED_MEMORY = Path("/dev/shm")
_PR_SET_PDEATHSIG = 1


def mark_environment() -> str:
    """Mark what this process starts from now on as its own; returns the mark, `PID:START`."""
    mark = _mark_of(psutil.Process())
    os.environ[MARK] = mark
    return mark


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (Linux; elsewhere nothing happens).

    vLLM's engine core and workers otherwise live on for more than a minute after their owner's death.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the signal was set
        os.kill(os.getpid(), signal.SIGKILL)


def sweep() -> list[int]:
    """Kill what dead drivers of this user left running, and remove their scratch folders.

    Returns the process ids killed. What belongs to a living driver is left alone.
    """
    strays = [process for process in psutil.process_iter() if _is_stray(process)]
    for process in strays:
        _kill(process)
    psutil.wait_procs(strays, timeout=5)
    _remove_dead_scratch()
    return [process.pid for process in strays]


def make_scratch() -> Path:
    """A new folder for sockets and session files; its path is short, as Unix sockets ask."""
    return Path(tempfile.mkdtemp(prefix=f"{SCRATCH_PREFIX}{os.getpid()}-", dir="/tmp"))


def kill_tree(pid: int) -> None:
    """Kill a process and all its descendants, at once; none is needed to exist."""
    try:
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in family:
        _kill(member)


def send_output_to(log: Path) -> None:
    """Append this process's standard output and error, and its children's, to the file `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _mark_of(process: psutil.Process) -> str:
    return f"{process.pid}:{process.create_time():.2f}"


def _is_stray(process: psutil.Process) -> bool:
    try:
        mark = process.environ().get(MARK)
    except (psutil.Error, OSError):
        return False
    return mark is not None and process.pid != os.getpid() and not _driver_lives(mark)


def _driver_lives(mark: str) -> bool:
    try:
        return _mark_of(psutil.Process(int(mark.partition(":")[0]))) == mark
    except (psutil.NoSuchProcess, ValueError):
        return False


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _remove_dead_scratch() -> None:
    for folder in (SHARED_MEMORY, Path(tempfile.gettempdir()), Path("/tmp")):
        for path in folder.glob(f"{SCRATCH_PREFIX}*-*"):
            owner = path.name.removeprefix(SCRATCH_PREFIX).partition("-")[0]
            if owner.isdigit() and not psutil.pid_exists(int(owner)):
                _remove(path)


def _remove(path: Path) -> None:
    """Remove a file or a folder; what belongs to another user stays."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        path.unlink()


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def wait_gone(pids: Iterable[int], *, seconds: float = 10) -> None:
    """Wait until none of these processes is there, then kill what is."""
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, left = psutil.wait_procs(processes, timeout=seconds)
    for process in left:
        _kill(process)


def why_lost(error: Exception) -> str:
    r"""What Ray says of a process that it gave up, in a sentence; of its long reports, the first line.

    >>> why_lost(RuntimeError("the node is gone\nsee https://example.org"))
    'the node is gone'
    """
    from ray.exceptions import OutOfMemoryError

    if isinstance(error, OutOfMemoryError):
        return (
            "this machine's memory was nearly full, and Ray stopped it to save the others. Close what else runs here, "
            "or give the run fewer engines or ranks, or smaller packs; --resume goes on from the newest checkpoint"
        )
    return str(error).partition("\n")[0]
