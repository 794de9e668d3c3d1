"""The process that watches over programs under test: it forks one for each run, and kills what takes too much.

It never runs a program itself and knows no expected output. Requests and answers are lines of JSON. Started as
`python -P -s -S -c BOOT ROOT`, with an empty environment, no descriptors but its pipes, and no packages.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import sys
import time
from typing import Any, NamedTuple

from rewards.sandbox import program
from rewards.sandbox.confine import MIB, Limits, be_first_to_go, confine, die_with_parent, leave_namespaces

BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from rewards.sandbox.warden import main; del sys.path[0]; main()"
TICK = 0.02
"""Seconds between looks at a running program."""
PATIENCE = 3.0
"""Times its processor seconds that a program may take by the clock: one that sleeps ends, too. What it waited for a
processor does not count: a busy machine fails no program."""
OUT_OF_TIME = "ran out of all time"
MOST_THREADS = 16
"""Threads that are asked how long they waited."""
LAST_WORDS = 2000
"""Bytes of standard error that are kept, from its end."""
CONFINED = b"+"
"""What a process says on its output when all barriers are up, before the program has a say in anything."""
NOT_CONFINED = "the sandbox failed"


class Run(NamedTuple):
    """What is to be run: a program with its input, or a function of it with its arguments, a Python list.

    `clock` is the time in seconds after which it ends, whatever it waited for.
    """

    source: str
    stdin: str = ""
    function: str = ""
    arguments: str = "[]"
    clock: float = 60.0


def main() -> None:
    """Serve until the pipe closes."""
    be_first_to_go()
    spaces = leave_namespaces()
    die_with_parent()
    limits, folder = Limits(*json.loads(sys.stdin.buffer.readline())[0]), os.getcwd()  # noqa: PTH109
    barriers = _try_barriers(limits, folder)
    _say([*barriers, *(["namespaces"] if spaces else [])])
    while line := sys.stdin.buffer.readline():
        _say(_run(Run(**json.loads(line)), limits, folder, barriers))


def _say(answer: object) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


def _try_barriers(limits: Limits, folder: str) -> list[str]:
    """The barriers that a process can put up here, tried out in one that then ends."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, json.dumps(confine(limits, folder)).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123
        said = pipe.read()
    os.wait()
    return json.loads(said or b"[]")


def _run(run: Run, limits: Limits, folder: str, barriers: list[str]) -> dict[str, Any]:
    """What became of one run; nothing of it is left afterwards."""
    output, complaints = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(run, limits, folder, barriers, output[1], complaints[1])
    os.close(output[1])
    os.close(complaints[1])
    watch = _Watch(pid, limits, folder, output[0], complaints[0], run.clock)
    waited = 0.0
    try:
        fault = watch.until_end()
        waited = watch.waited()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
        _, status, usage = os.wait4(pid, 0)
        watch.drain()
        too_much = watch.too_much()
        _empty(folder)
        os.close(output[0])
        os.close(complaints[0])
    confined = watch.said.startswith(CONFINED)
    return {
        "fault": (fault or too_much) if confined else NOT_CONFINED,
        "code": os.waitstatus_to_exitcode(status),
        "output": watch.said.removeprefix(CONFINED).decode("utf-8", "replace"),
        "last_words": watch.complained.decode("utf-8", "replace"),
        "seconds": usage.ru_utime + usage.ru_stime,
        "waited": waited,
    }


def _become(run: Run, limits: Limits, folder: str, barriers: list[str], output: int, complaints: int) -> None:
    """In the new process: everything of the warden's is given up, then the program runs. It does not come back."""
    try:
        die_with_parent()
        os.setsid()
        nowhere = os.open("/dev/null", os.O_RDWR)
        for wanted, descriptor in enumerate(
            (_input(run.stdin), nowhere if run.function else output, complaints, output), start=100
        ):
            os.dup2(descriptor, wanted)
        for wanted in range(4):
            os.dup2(100 + wanted, wanted)
        os.closerange(4 if run.function else 3, 1 << 16)
        if confine(limits, folder) == barriers:
            os.write(program.RESULT if run.function else 1, CONFINED)
            program.run(run.source, run.function, run.arguments)
    finally:
        os._exit(1)


def _input(text: str) -> int:
    """A descriptor from which a text is read: memory that no one can write to any more."""
    memory = os.memfd_create("input", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    content = text.encode("utf-8", "replace")
    while content:
        content = content[os.write(memory, content) :]
    os.lseek(memory, 0, os.SEEK_SET)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return memory


class _Watch:
    """One running process: what it says, and whether it takes more than it may."""

    def __init__(self, pid: int, limits: Limits, folder: str, output: int, complaints: int, clock: float) -> None:
        self._pid, self._limits, self._folder, self._clock = pid, limits, folder, clock
        self._began = time.monotonic()
        self._output, self._complaints = output, complaints
        self.said, self.complained = bytearray(), bytearray()
        for pipe in (output, complaints):
            os.set_blocking(pipe, False)

    def until_end(self) -> str:
        """Empty when the process ended by itself, else why it has to be killed."""
        ended = os.pidfd_open(self._pid)
        try:
            while True:
                ready, _, _ = select.select([ended, self._output, self._complaints], [], [], TICK)
                if ended in ready:
                    return ""
                if fault := self._fault():
                    return fault
                if ready and not self.drain():
                    time.sleep(TICK)  # its pipes are closed, and it goes on
        finally:
            os.close(ended)

    def _fault(self) -> str:
        spent = time.clock_gettime(
            (~self._pid << 3) | 2
        )  # the processor-time clock of a process: see clock_getcpuclockid
        if spent > self._limits.seconds:
            return f"took more than {self._limits.seconds:g} s"
        elapsed = time.monotonic() - self._began
        if elapsed > PATIENCE * self._limits.seconds and elapsed - self.waited() > PATIENCE * self._limits.seconds:
            return "took too long by the clock"
        return OUT_OF_TIME if elapsed > self._clock else self.too_much()

    def waited(self) -> float:
        """Seconds that the process was ready to run and had no processor, in its thread that waited longest.

        0 where the kernel does not say.
        """
        longest = 0
        with contextlib.suppress(OSError, ValueError, IndexError):
            for thread in os.listdir(f"/proc/{self._pid}/task")[:MOST_THREADS]:  # noqa: PTH208
                with open(f"/proc/{self._pid}/task/{thread}/schedstat") as file:  # noqa: PTH123
                    longest = max(longest, int(file.read().split()[1]))
        return longest / 1e9

    def too_much(self) -> str:
        """Why what it wrote is more than it may; empty if it is not."""
        if len(self.said) > self._limits.output_kib * 1024:
            return f"wrote more than {self._limits.output_kib} KiB"
        with os.scandir(self._folder) as entries:
            sizes = [entry.stat(follow_symlinks=False).st_size for entry in entries]
        if len(sizes) > self._limits.most_files or sum(sizes) > self._limits.files_mib * MIB:
            return f"wrote more than {self._limits.most_files} files or {self._limits.files_mib} MiB"
        return ""

    def drain(self) -> bool:
        """Read what there is, at most a little beyond the limit; whether there was any."""
        any_output = False
        while len(self.said) <= self._limits.output_kib * 1024 and (piece := _read(self._output)):
            self.said += piece
            any_output = True
        for _ in range(16):  # standard error is not limited: only its end is kept
            if not (piece := _read(self._complaints)):
                break
            self.complained = (self.complained + piece)[-LAST_WORDS:]
            any_output = True
        return any_output


def _read(pipe: int) -> bytes:
    try:
        return os.read(pipe, 1 << 16)
    except BlockingIOError:
        return b""


def _empty(folder: str) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                os.unlink(entry.path)  # noqa: PTH108
