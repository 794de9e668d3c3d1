"""Programs that no one has read, run one at a time in a sandbox: limited, cut off, and gone afterwards."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from rewards.sandbox.confine import Limits
from rewards.sandbox.warden import BOOT, NOT_CONFINED, Run

BARRIERS = ("limits", "landlock", "seccomp")
"""What a full sandbox is made of; namespaces come on top where they are allowed."""
START_SECONDS = 20.0
GRACE = 5.0
"""Seconds beyond a run's own time that the warden may take to say what became of it."""
_ROOT = Path(__file__).parents[2]
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1", "LANG": "C.UTF-8"}
"""The same order of sets in every run, and no address space set aside for each thread."""


class SandboxError(RuntimeError):
    """The sandbox itself failed; this says nothing of the program."""


class Outcome(NamedTuple):
    """What became of a run. `fault` is empty for one that ended by itself with code 0, else says how it failed.

    `seconds` are of processor time; `waited` are those that it was ready to run and had no processor.
    """

    fault: str
    output: str
    seconds: float
    waited: float


class Sandbox:
    """A warden process with a folder of its own; `barriers` are those that hold around each program."""

    def __init__(self, limits: Limits) -> None:
        if sys.platform != "linux":
            raise SandboxError("programs are run on Linux alone, whose kernel can cut them off")
        self._limits = limits
        self._folder = tempfile.TemporaryDirectory(prefix="halyard-sandbox-")
        try:
            self._warden = self._start()
            self.barriers: list[str] = self._ask([list(limits)], START_SECONDS)
        except BaseException:
            self._folder.cleanup()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [sys.executable, "-P", "-s", "-S", "-B", "-X", "utf8", "-c", BOOT, str(_ROOT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self._folder.name,
                env=_ENVIRONMENT,
            )
        except OSError as error:
            raise SandboxError(f"it cannot be started: {error}") from error

    @property
    def missing(self) -> list[str]:
        """The barriers of a full sandbox that this machine does not give."""
        return [one for one in BARRIERS if one not in self.barriers]

    def run(self, run: Run) -> Outcome:
        """What became of one run, within its time.

        Raises:
            SandboxError: the warden failed.
        """
        said = self._ask(run._asdict(), run.clock + GRACE)
        if said["fault"] == NOT_CONFINED:
            raise SandboxError("a process could not be confined")
        fault = said["fault"] or _fault(said["code"], said["last_words"])
        return Outcome(fault, said["output"], said["seconds"], said["waited"])

    def close(self) -> None:
        """End the warden, whatever runs in it, and remove the folder."""
        self._warden.kill()
        self._warden.communicate()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _ask(self, question: object, seconds: float) -> Any:
        """The warden's answer, one line.

        Raises:
            SandboxError: it ended, or said nothing in time.
        """
        assert self._warden.stdin is not None
        assert self._warden.stdout is not None
        until = time.monotonic() + seconds
        try:
            self._warden.stdin.write(json.dumps(question).encode() + b"\n")
            self._warden.stdin.flush()
            ready, _, _ = select.select([self._warden.stdout], [], [], max(0.0, until - time.monotonic()))
            line = self._warden.stdout.readline() if ready else b""
        except OSError as error:
            raise SandboxError(f"its warden ended: {error}") from error
        if not line:
            raise SandboxError(f"its warden said nothing in {seconds:g} s")
        return json.loads(line)


def _fault(code: int, last_words: str) -> str:
    if code == 0:
        return ""
    if code < 0:
        return f"was ended by signal {-code}"
    lines = last_words.strip().splitlines()
    return f"failed: {lines[-1][:200]}" if lines else f"ended with exit code {code}"
