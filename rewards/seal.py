"""A seal on a process that reads what a model wrote: whatever the text is taken for, it does nothing.

An audit hook of Python itself, which nothing in the process can take off again. It is the second line: the first
is that nothing there evaluates text.
"""

from __future__ import annotations

import sys
from typing import Any

CODE_MAKERS = frozenset(
    {"collections", "dataclasses", "typing", "importlib._bootstrap", "importlib._bootstrap_external"}
    | {"sympy.abc", "sympy.polys.monomials"}
)
"""Modules that make code from text of the program's own, as when one more module is imported."""
FORBIDDEN = (
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.kill", "pty.spawn",
    "subprocess.Popen", "socket.", "ctypes.", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink",
    "os.chmod", "os.chown", "os.truncate", "shutil.", "urllib.", "webbrowser.", "code.__new__", "signal.pthread_kill",
)  # fmt: skip
READ_MODES = frozenset({"r", "rb", "rt", None})


class SealedError(RuntimeError):
    """Something that reads a model's text tried to do more than that."""


def seal() -> None:
    """From now on this process runs no code from text, starts no program, and changes no file."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("compile", "exec"):
        maker = sys._getframe(1).f_globals.get("__name__")
        if maker not in CODE_MAKERS:
            raise SealedError(f"sealed: {maker} was to run code")
    elif event == "open":
        _, mode, flags = arguments
        if mode not in READ_MODES or (mode is None and flags & 3):
            raise SealedError("sealed: a file was to be written")
    elif event.startswith(FORBIDDEN):
        raise SealedError(f"sealed: {event}")
