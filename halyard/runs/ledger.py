"""The ledger of prompts: each is at any time in exactly one state, so that none is lost or trained twice.

    waiting ──▶ in_flight ──▶ scored ──▶ trained (in which version)
                    │            ├─────▶ dropped (why)
                    └────────────┴─────▶ failed (why)

An entry is one *occurrence* of a prompt: its position in the endless stream of prompts; the same prompt
comes again in the next epoch under another number. What has no entry yet is waiting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from halyard.errors import HalyardError

State = Literal["waiting", "in_flight", "scored", "trained", "dropped", "failed"]
_BEFORE: Mapping[State, frozenset[State]] = {
    "in_flight": frozenset({"waiting", "in_flight"}),
    "scored": frozenset({"in_flight"}),
    "trained": frozenset({"scored"}),
    "dropped": frozenset({"in_flight", "scored"}),
    "failed": frozenset({"in_flight", "scored"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where one occurrence of a prompt is. `version` is set when trained; `why` when dropped or failed."""

    prompt_id: str
    state: State
    version: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What became of the prompts: `states` and `reasons` count occurrences, the others distinct prompts."""

    states: Mapping[str, int]
    reasons: Mapping[str, int]
    prompts_seen: int
    prompts_trained: int


class Ledger:
    """States of all occurrences, by number; every change is checked against the picture above."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}

    def in_flight(self, occurrence: int, prompt_id: str) -> None:
        """Nothing; its answers are being sampled, for the first time or again (a resume, an engine's restart).

        Raises:
            HalyardError: it was settled before, and would be trained twice.
        """
        self._enter(occurrence, Entry(prompt_id=prompt_id, state="in_flight"))

    def scored(self, occurrence: int) -> None:
        """Nothing; its answers have verdicts."""
        self._move(occurrence, "scored")

    def trained(self, occurrence: int, version: int) -> None:
        """Nothing; it was trained on in the step that made this policy version."""
        self._move(occurrence, "trained", version=version)

    def dropped(self, occurrence: int, why: str) -> None:
        """Nothing; its group was judged but is not trained on."""
        self._move(occurrence, "dropped", why=why)

    def failed(self, occurrence: int, why: str) -> None:
        """Nothing; it could not be answered or judged."""
        self._move(occurrence, "failed", why=why)

    def coverage(self) -> Coverage:
        """What became of the prompts until now."""
        entries = self._entries.values()
        return Coverage(
            states=dict(Counter(entry.state for entry in entries)),
            reasons=dict(Counter(entry.why for entry in entries if entry.why).most_common()),
            prompts_seen=len({entry.prompt_id for entry in entries}),
            prompts_trained=len({entry.prompt_id for entry in entries if entry.state == "trained"}),
        )

    def to_json(self) -> dict[str, Any]:
        """The whole ledger as plain values."""
        return {
            str(number): [entry.prompt_id, entry.state, entry.version, entry.why]
            for number, entry in self._entries.items()
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ledger:
        """The ledger that `to_json` wrote."""
        ledger = cls()
        for number, (prompt_id, state, version, why) in value.items():
            ledger._entries[int(number)] = Entry(prompt_id=prompt_id, state=state, version=version, why=why)
        return ledger

    def _move(self, occurrence: int, state: State, *, version: int | None = None, why: str = "") -> None:
        there = self._entries.get(occurrence)
        prompt_id = there.prompt_id if there else "?"
        self._enter(occurrence, Entry(prompt_id=prompt_id, state=state, version=version, why=why))

    def _enter(self, occurrence: int, entry: Entry) -> None:
        there = self._entries.get(occurrence)
        now: State = there.state if there else "waiting"
        if now not in _BEFORE[entry.state]:
            allowed = " or ".join(sorted(_BEFORE[entry.state]))
            raise HalyardError(
                f"prompt {entry.prompt_id} (occurrence {occurrence}) is {now} and would become {entry.state}, "
                f"which only a prompt that is {allowed} can: it would be lost or trained twice"
            )
        self._entries[occurrence] = entry
