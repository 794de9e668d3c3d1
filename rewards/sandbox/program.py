"""A program run once, in a process of its own that ends with it: from standard input to output, or one call."""

from __future__ import annotations

import ast
import builtins
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

RESULT = 3
"""File descriptor on which the result of a call is written."""
FILE = "program.py"


def run(source: str, function: str, arguments: str) -> None:
    """Run a program, or one call of a function in it, and end the process: 0, or 1 with a traceback on stderr."""
    _open_standard_streams()
    _be_plain_python()
    code = 0
    try:
        module = ModuleType("program" if function else "__main__")
        sys.modules[module.__name__] = module
        exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__)
        if function:
            returned = _found(module, function)(*ast.literal_eval(arguments))
            _write(json.dumps(plain(returned)).encode())
        _finish_threads()
    except SystemExit as end:
        code = _exit_code(end)
    except BaseException:  # whatever it is, this is where the process ends
        traceback.print_exc(limit=-3)
        code = 1
    finally:
        _end(code)


def _open_standard_streams() -> None:
    """Streams of their own: those that Python opened at its start hold what others wrote to them."""
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115


def _be_plain_python() -> None:
    """What a program finds in Python started for it: `exit`, its name, and no modules of ours."""
    builtins.__dict__.update(exit=sys.exit, quit=sys.exit)
    sys.argv = [FILE]
    for name in [name for name in sys.modules if name.partition(".")[0] == "rewards"]:
        del sys.modules[name]


def _found(module: ModuleType, function: str) -> Callable[..., Any]:
    """The function of a module, or the method of its class Solution."""
    if hasattr(module, function):
        return getattr(module, function)
    solution = getattr(module, "Solution", None)
    if solution is None or not hasattr(solution, function):
        raise NameError(f"there is no function {function} and no class Solution with such a method")
    return getattr(solution(), function)


def plain(value: Any) -> Any:
    """A value in a form that JSON keeps: lists for all sequences, and marked, sorted lists for dicts and sets.

    >>> plain({"b": (1, 2), "a": {3}})
    {'dict': [['a', {'set': [3]}], ['b', [1, 2]]]}

    Raises:
        TypeError: it is something that cannot be compared.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, dict):
        return {"dict": sorted(([plain(key), plain(one)] for key, one in value.items()), key=json.dumps)}
    if isinstance(value, set | frozenset):
        return {"set": sorted(map(plain, value), key=json.dumps)}
    if hasattr(value, "__iter__"):
        return list(map(plain, value))
    raise TypeError(f"a result of type {type(value).__name__} cannot be compared")


def _write(content: bytes) -> None:
    while content:
        content = content[os.write(RESULT, content) :]


def _finish_threads() -> None:
    """Wait for the program's threads, as Python does at its end."""
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return (end.code or 0) & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def _end(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # a program may have put anything in their place
            code = code or 1
    os._exit(code)
