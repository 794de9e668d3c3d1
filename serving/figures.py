"""What each snapshot did: requests, errors, latencies, tokens and feedback, for people and for Prometheus."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

_KEPT = 1000
_KEPT_ANSWERS = 10_000


@dataclass(slots=True)
class Figures:
    """Counts of one snapshot since the service started; the latencies of its last thousand requests, in seconds."""

    requests: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    first_token: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    feedback: int = 0
    score: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The counts, with the median and the 99th percentile of the latencies."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "prompt_tokens": self.prompt_tokens,
            "tokens": self.tokens,
            "seconds": _percentiles(self.seconds),
            "first_token_seconds": _percentiles(self.first_token),
            "feedback": {"count": self.feedback, "mean": self.score / self.feedback if self.feedback else None},
        }


class Answered:
    """Which snapshot gave an answer, by the answer's id; the last ten thousand."""

    def __init__(self) -> None:
        self._snapshots: OrderedDict[str, str] = OrderedDict()

    def note(self, answer: str, snapshot: str) -> None:
        """Remember an answer."""
        self._snapshots[answer] = snapshot
        if len(self._snapshots) > _KEPT_ANSWERS:
            self._snapshots.popitem(last=False)

    def snapshot(self, answer: str) -> str | None:
        """The name of the snapshot that gave it; None when it is not remembered."""
        return self._snapshots.get(answer)


def _percentiles(values: deque[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    return {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in _SHARES.items()}


_SHARES = {"p50": 0.5, "p99": 0.99}
