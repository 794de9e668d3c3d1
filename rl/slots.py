"""Slots bound staleness at admission: what is sampled is trained in time, so nothing is thrown away as stale."""

from __future__ import annotations

from collections.abc import Collection

from rl.types import Admitted, Scored


class Slots:
    """Who may be sampled, and in which order it is trained.

        admit ──▶ in flight ──▶ scored ──▶ taken by a step ──▶ its weights are live ──▶ free
                      └── dropped or failed ─────────────────────────────────────────▶ free

    There are `(max_staleness + 1) · per_step` slots, and steps take groups in the order of admission. A
    prompt admitted while version v is live has fewer groups before it than there are slots, and each step
    takes `per_step` of them from the front: it is trained at step v + 1 + max_staleness at the latest,
    whose weights are `max_staleness` steps newer than v. Going by admission also means that a long answer
    is waited for, never overtaken for ever.

    With `max_staleness` 0, slots of dropped prompts are filled again only when nothing is in flight: the
    engine then sees the same requests together in every run, and the order of events has no say.

    Example: per_step 2, max_staleness 1, four slots. Prompts 0-3 are admitted under version 0. Step 1
    trains 0 and 1; its weights go live as version 1 and free two slots: 4 and 5. Step 2 trains 2 and 3,
    sampled under version 0, on top of version 1: staleness 1.
    """

    def __init__(self, *, per_step: int, max_staleness: int, steps: int, version: int) -> None:
        self.per_step = per_step
        self.version = version
        self._steps = steps
        self._queue: dict[int, tuple[Admitted, Scored | None]] = {}
        self._training = 0
        self.limit(max_staleness)

    def limit(self, max_staleness: int) -> None:
        """Bound the staleness of what is admitted from now on."""
        self._capacity = (max_staleness + 1) * self.per_step
        self._waves = max_staleness == 0

    @property
    def queue(self) -> Collection[tuple[Admitted, Scored | None]]:
        """Prompts that no step has taken yet, oldest first; with their groups once these are scored."""
        return self._queue.values()

    @property
    def in_flight(self) -> list[Admitted]:
        """Prompts whose groups are not scored yet, oldest first."""
        return [admitted for admitted, scored in self.queue if scored is None]

    def free(self) -> int:
        """How many prompts may be admitted now: at most what the stage's remaining steps will train."""
        if self._waves and self.in_flight:
            return 0
        held = len(self._queue) + self._training
        return min(self._capacity, (self._steps - self.version) * self.per_step) - held

    def admit(self, admitted: Admitted) -> None:
        """Take a slot."""
        self._queue[admitted.occurrence] = (admitted, None)

    def fill(self, scored: Scored) -> None:
        """Remember the group that a step can train on."""
        self._queue[scored.admitted.occurrence] = (scored.admitted, scored)

    def vacate(self, admitted: Admitted) -> None:
        """Give back the slot of a prompt that was dropped or failed."""
        del self._queue[admitted.occurrence]

    def front(self) -> list[tuple[Admitted, Scored | None]]:
        """The prompts that the next step will train on, as far as they are known."""
        return list(self.queue)[: self.per_step]

    def take(self) -> list[Scored] | None:
        """The groups of the next step, in order of admission; None while one of them is missing."""
        groups = [scored for _, scored in self.front() if scored is not None]
        if len(groups) < self.per_step:
            return None
        for scored in groups:
            del self._queue[scored.admitted.occurrence]
        self._training = self.per_step
        return groups

    def release(self, version: int) -> None:
        """Give back the slots of the step whose weights, `version`, are live now."""
        self.version = version
        self._training = 0
