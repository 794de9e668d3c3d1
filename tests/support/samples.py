"""Samples for rewards, by the few things that a test is about."""

from __future__ import annotations

from typing import Any

from rewards.sample import Sample


def direct(answer: str, reference: str | None = "5", **more: Any) -> Sample:
    """An answer without reasoning to an empty prompt of task exact; `more` are other fields of the sample."""
    fields: dict[str, Any] = {"prompt": "", "response": answer, "task": "exact", "thinking": False, **more}
    return Sample(answer=answer, reference=reference, **fields)
