"""The stream of prompts: which comes when, in which mode, with which seeds, all a function of the run's seed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from halyard.data.prompts import to_prompt
from rl.types import Admitted

if TYPE_CHECKING:
    from collections.abc import Collection

    from configs.stages import RlStage
    from halyard.data.mixture import Mixture
    from halyard.tasks import Task
    from rl.session import RlSession


def draw(seed: int, *names: object) -> int:
    """A number in [0, 2^31) that depends on the arguments alone, and looks random in each of them."""
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") >> 1


class PromptStream:
    """Admissions in the order of the mixture; a position in it is a prompt's `occurrence`."""

    def __init__(
        self, mixture: Mixture, *, seed: int, direct_share: float, thinking_tasks: Collection[Task] = ("math", "stem")
    ) -> None:
        self._mixture = mixture
        self._seed = seed
        self._direct_share = direct_share
        self._thinking_tasks = thinking_tasks

    @classmethod
    def of(cls, stage: RlStage, session: RlSession) -> PromptStream:
        """The stream of a stage."""
        return cls(
            session.prompts, seed=session.seed, direct_share=stage.direct_share, thinking_tasks=stage.thinking_tasks
        )

    @property
    def position(self) -> int:
        """Occurrence of the next prompt."""
        return self._mixture.position

    def seek(self, position: int) -> None:
        """Go on from `position`."""
        self._mixture.seek(position)

    def next(self, version: int) -> Admitted:
        """The next prompt, admitted while `version` is live."""
        occurrence = self.position
        (row,) = self._mixture.take(1)
        kept_direct = draw(self._seed, "mode", occurrence) < self._direct_share * 2**31
        thinking = row.task in self._thinking_tasks and not kept_direct
        return Admitted(occurrence=occurrence, prompt=to_prompt(row, thinking=thinking), version=version)

    def again(self, occurrence: int, version: int) -> Admitted:
        """A prompt that was drawn before; the stream goes on from where it is."""
        position = self.position
        self.seek(occurrence)
        admitted = self.next(version)
        self.seek(position)
        return admitted

    def seeds(self, occurrence: int, count: int) -> tuple[int, ...]:
        """Sampling seeds of a prompt's answers: the same after a resume or an engine's restart."""
        return tuple(draw(self._seed, "answer", occurrence, index) for index in range(count))
