"""What the questions of a term came to: calls, tokens, money, seconds."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean, quantiles

COUNTED = (
    "calls",
    "retries",
    "cache_hits",
    "shared",
    "prompt_tokens",
    "completion_tokens",
    "money",
    "refused",
    "failed",
    "lost",
)
"""Requests sent, those that were repetitions, answers found in the cache or taken from a question under way, tokens
and money, responses that needed no question, those that could not be judged, and those of them lost to outages."""


class Figures:
    """Counts since the last look at them, and since the start."""

    def __init__(self) -> None:
        self._since: defaultdict[str, float] = defaultdict(float)
        self._total: defaultdict[str, float] = defaultdict(float)
        self._seconds: list[float] = []

    def count(self, name: str, amount: float = 1) -> None:
        """Nothing; the figure has grown."""
        assert name in COUNTED
        self._since[name] += amount
        self._total[name] += amount

    def took(self, seconds: float) -> None:
        """Nothing; a call was answered after so long."""
        self._seconds.append(seconds)

    def look(self) -> dict[str, float]:
        """The figures since the last look; seconds of a call as mean and 95th percentile, where there were any."""
        found: dict[str, float] = {name: self._since[name] for name in COUNTED}
        if self._seconds:
            found["seconds_mean"] = fmean(self._seconds)
            found["seconds_p95"] = quantiles(self._seconds * 2, n=20, method="inclusive")[-1]
        self._since.clear()
        self._seconds.clear()
        return found

    def total(self) -> dict[str, float]:
        """All that was counted from the start."""
        return {name: self._total[name] for name in COUNTED}
