"""Why a judge's answer could not be had. None of these is ever a verdict."""

from __future__ import annotations


class Unanswered(Exception):
    """No answer; `again` says after how many seconds another try is worth it, None for never."""

    def __init__(self, reason: str, again: float | None = None) -> None:
        super().__init__(reason)
        self.again = again


class Refused(Unanswered):
    """The endpoint took the question and will not answer it: `status` is HTTP's."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class Late(Unanswered):
    """No answer in time; it may have been charged all the same."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, again=0.0)


class Nonsense(Unanswered):
    """An answer that is none: another try may bring a better one."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, again=0.0)


class Down(Unanswered):
    """The judge was down for longer than the run is patient."""


class Spent(Unanswered):
    """The budget has no room for the question."""
