"""What the pool's processes are made to do in tests, one deed an item."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from rewards.sample import Judgement


def doer(start_seconds: float = 0.0) -> Callable[[Any], Any]:
    """The function of the job: an item is ("deed", argument), or a list of numbers to be judged together."""
    time.sleep(start_seconds)
    return do


def do(item: Any) -> Any:
    """What the deed comes to."""
    if isinstance(item, list):
        return [Judgement(float(one), "together") for one in item]
    deed, argument = item
    return _DEEDS[deed](argument)


def _spin(seconds: float) -> Judgement:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return Judgement(1.0, f"spun {seconds} s")


def _sleep(seconds: float) -> Judgement:
    time.sleep(seconds)
    return Judgement(1.0, f"slept {seconds} s")


def _take(gibibytes: float) -> Judgement:
    taken = bytearray(int(gibibytes * 2**30))
    return Judgement(1.0, f"took {len(taken)} bytes")


def _child(seconds: float) -> Judgement:
    """Start a process of one's own, and hang."""
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])
    print(child.pid, file=open(os.environ["CHILD_PID_FILE"], "w"), flush=True)  # noqa: SIM115, PTH123
    time.sleep(seconds)
    return Judgement(1.0, "")


def _overflow(_: float) -> Judgement:
    def deeper(n: int) -> int:
        return deeper(n + 1) + 1

    return Judgement(float(deeper(0)), "")


_DEEDS: dict[str, Callable[[Any], Any]] = {
    "say": lambda what: Judgement(1.0, str(what)),
    "pid": lambda _: Judgement(float(os.getpid()), ""),
    "spin": _spin,
    "sleep": _sleep,
    "take": _take,
    "exit": os._exit,
    "abort": lambda _: os.abort(),
    "child": _child,
    "overflow": _overflow,
    "shout": lambda length: Judgement(1.0, "x" * int(length), {str(i): 1.0 for i in range(100_000)}),
    "unpicklable": lambda _: Judgement(1.0, "", {"a": lambda: 0}),  # pyright: ignore[reportArgumentType]
    "nothing": lambda _: None,
}


def burglar() -> Callable[[tuple[str, str]], Any]:
    """The function of a job that tries to break out of its process; it sets all up before the seal."""
    import ctypes
    import socket
    from pathlib import Path

    import sympy

    ways: dict[str, Callable[[str], Any]] = {
        "eval": lambda _: eval("1+1"),
        "exec": lambda trace: exec(f"open({trace!r}, 'w')"),
        "sympify": lambda trace: sympy.sympify(f"open({trace!r}, 'w')"),
        "lambdify": lambda _: sympy.lambdify([], "1"),
        "system": lambda trace: os.system(f"touch {trace}"),
        "popen": lambda trace: subprocess.run(["touch", trace], check=True),
        "fork": lambda _: os.fork(),
        "socket": lambda _: socket.create_connection(("127.0.0.1", 9), 0.1),
        "write": lambda trace: Path(trace).write_text("x"),
        "remove": lambda _: Path("pyproject.toml.not-there").unlink(),
        "ctypes": lambda _: ctypes.CDLL(None),
    }

    def break_out(item: tuple[str, str]) -> Judgement:
        return Judgement(1.0, f"did {ways[item[0]](item[1])}")

    return break_out
