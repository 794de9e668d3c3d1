"""Ctrl-C: once finishes the step that is going on and writes a checkpoint, twice stops at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from halyard.errors import Interrupted

AT_ONCE = "stopped at once; --resume goes on from the last checkpoint"


class Interrupts:
    """Turns signals into the two ways of stopping; `stop` is what a trainer looks at after each step."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.stop = asyncio.Event()
        self._tell = tell
        self._task: asyncio.Task[object] | None = None
        self._in_steps = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Let Ctrl-C, and the signal to terminate, stop the task that the block runs in.

        Raises:
            Interrupted: the block was stopped at once.
        """
        self._task = asyncio.current_task()
        self.install()
        try:
            yield
        except asyncio.CancelledError:
            raise Interrupted(AT_ONCE) from None
        finally:
            self._task = None
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().remove_signal_handler(number)

    def install(self) -> None:
        """Take the signals, again where a library has taken them since."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.ask)

    @contextmanager
    def in_steps(self) -> Iterator[None]:
        """A block whose work comes in steps: the first Ctrl-C lets the step be finished.

        Raises:
            Interrupted: the last step was finished after the user asked to stop.
        """
        self._in_steps = True
        try:
            yield
        finally:
            self._in_steps = False
        if self.stop.is_set():
            raise Interrupted("stopped after the last step of the stage; --resume goes on")

    def ask(self) -> None:
        """Stop as Ctrl-C does."""
        if self._in_steps and not self.stop.is_set():
            self.stop.set()
            self._tell("finishing this step, then a checkpoint ... (Ctrl-C again stops at once)")
        elif self._task is not None:
            self.stop.set()
            self._tell("stopping ...")
            self._task.cancel()
