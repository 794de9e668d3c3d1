"""What a reward is asked about, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from halyard.data.types import ImageRef
from halyard.tasks import Task

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One response of the policy, as a reward sees it.

    `response` is the whole text; `reasoning` what stands between `<think>` and `</think>` (None where there is
    none) and `answer` what follows it. `reference` is the right answer, if the prompt has one. `thinking` is
    the mode that was asked for. `finish_reason` is "length" for a response cut off after `response_tokens`.
    `images` are the prompt's, in order, by reference; `open_images` opens them. Samples of one prompt that are
    judged together are a group; `group_id` tells groups apart that have the same prompt.

    >>> Sample(prompt="2+3?", response="5", answer="5", reference="5", task="math", thinking=False).family
    ''
    """

    prompt: str
    response: str
    answer: str
    reference: str | None
    task: Task
    thinking: bool
    reasoning: str | None = None
    family: str = ""
    finish_reason: Literal["stop", "length"] = "stop"
    prompt_tokens: int = 0
    response_tokens: int = 0
    response_token_ids: Sequence[int] = ()
    images: tuple[ImageRef, ...] = ()
    prompt_id: str = ""
    group_id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def open_images(self) -> list[Image]:
        """The prompt's images, upright, in mode RGB; not to be changed in place.

        Raises:
            DataError: one is not there, or damaged.
        """
        from halyard.data.images import open_image

        return [open_image(image) for image in self.images]


class Judgement(NamedTuple):
    """What one term says of one sample; `score` is None exactly when it could not be judged.

    The reason of a failure reads "KIND: details", so that failures can be counted by kind. `parts` are figures
    to be recorded beside the score.
    """

    score: float | None
    reason: str
    parts: Mapping[str, float] = {}


def brief(text: str, length: int = 60) -> str:
    r"""The text on one line, cut to a length, for use in a reason.

    >>> brief("one\n two", 5)
    'one …'
    """
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length and len(text) <= 4 * length else line[: length - 1] + "…"
