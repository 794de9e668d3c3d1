"""Times of day, `10:30 AM` and `22:30`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rewards.answers.kind import Decide
from rewards.normal import TEXT_MARK, spaced

_TIME = re.compile(r"(?:at )?(\d{1,2})(?:[:.](\d{2}))?(?::(\d{2}))? ?(?:([ap])\.?m\.?|o'?clock)?", re.IGNORECASE)
_MARKED = re.compile(r"[ap]\.?m\.?$|o'?clock$", re.IGNORECASE)
TWO_DIGITS = re.compile(r"\d{1,2}:[0-5]\d")
"""What may be a time or a proportion."""
_HALF_DAY = 12 * 3600


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day, in seconds since midnight; `half` is known where am or pm is said, or it is after 12:59."""

    seconds: int
    half: bool

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer is the same time; a half of the day that is left out is the right one."""
        found = clock(spaced(answer))
        if found is None:
            return False
        apart = abs(found.seconds - self.seconds)
        return apart == 0 or (apart == _HALF_DAY and not found.half)


def clock(text: str) -> Clock | None:
    """The time that a spaced form is, None for something else.

    >>> clock("10:30 p.m."), clock("25:00")
    (Clock(seconds=81000, half=True), None)
    """
    found = _TIME.fullmatch(" ".join(text.replace(TEXT_MARK, " ").split()))
    if not found or not (found[2] or found[4] or "clock" in text):
        return None
    hour, minute, second = (int(part or 0) for part in found.groups()[:3])
    if hour > (12 if found[4] else 23) or minute > 59 or second > 59:
        return None
    if found[4]:
        hour = hour % 12 + (12 if found[4].lower() == "p" else 0)
    return Clock(3600 * hour + 60 * minute + second, bool(found[4]) or hour > 12)


def is_clock(text: str) -> bool:
    """Whether a reference is marked as a time of day: 3:45 alone may be a proportion."""
    return _MARKED.search(text) is not None
