"""The web server inside another program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn


class Server(uvicorn.Server):
    """A web server that leaves signals alone: they belong to the program, which has more to end than this."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A block in which signals are as they were."""
        yield
