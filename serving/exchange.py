"""One request and its answer, as it is counted and logged: filled in by whoever knows something of it."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field

from serving.keys import Caller


@dataclass(slots=True)
class Exchange:
    """What is known of a request; times are on the monotonic clock.

    `snapshot` is the exact version that answers, `alias` what was asked for; `waited` the seconds until an
    engine was free; `first_token` when the first token of a stream was there; `ignored` the fields not served.
    """

    id: str
    method: str
    path: str
    caller: Caller | None = None
    start: float = field(default_factory=time.monotonic)
    status: int = 0
    snapshot: str | None = None
    alias: str | None = None
    waited: float | None = None
    first_token: float | None = None
    prompt_tokens: int = 0
    tokens: int = 0
    retries: int = 0
    error: str | None = None
    ignored: tuple[str, ...] = ()

    def fields(self) -> dict[str, object]:
        """The line of the access log."""
        first = None if self.first_token is None else round(self.first_token - self.start, 4)
        line = {
            "request_id": self.id,
            "key": self.caller.name if self.caller else None,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "seconds": round(time.monotonic() - self.start, 4),
            "snapshot": self.snapshot,
            "alias": self.alias,
            "waited": None if self.waited is None else round(self.waited, 4),
            "first_token": first,
            "prompt_tokens": self.prompt_tokens or None,
            "tokens": self.tokens or None,
            "retries": self.retries or None,
            "error": self.error,
        }
        return {name: value for name, value in line.items() if value is not None}


current: ContextVar[Exchange] = ContextVar("exchange")
"""The request that this task works on."""
