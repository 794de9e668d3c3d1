"""The carriers of a run, from a question to a group of judged answers (standard library only).

    Prompt ──▶ Rollout ──▶ Verdict ──▶ Group
     data      engine      rewards     advantages

All are frozen, slotted and keyword-only. Images travel by reference and are opened late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from halyard.tasks import Task

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """Where an image is: a file, a data URI, or a drawing that can be made again from its recipe.

    `drawing` is a small JSON-able description that `halyard.data.images.open_image` renders (the
    synthetic problems use it, so that no pixel is stored twice). Exactly one of the three is set.

    >>> ImageRef(path="/data/chart.png")
    ImageRef(path='/data/chart.png', uri=None, drawing=None)
    """

    path: str | None = None
    uri: str | None = None
    drawing: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRef:
    """Where a video is: an animated image or a film, a folder of frames, or frames as images.

    Exactly one of `path` and `frames` is set. Frames are shown at `seconds`, one for each, or `fps` to a second; a
    file says itself when its frames are shown. A policy sees at most `budget` frames, evenly over the length.

    >>> VideoRef(path="/data/clip.gif").budget
    16
    """

    path: str | None = None
    frames: tuple[ImageRef, ...] = ()
    seconds: tuple[float, ...] = ()
    fps: float | None = None
    budget: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation: its images come first, then its videos, then its text.

    An assistant's turn that thinks has `reasoning` set; `text` is then the answer alone, and the chat
    template writes `<think>reasoning</think>text`.

    >>> Message(role="user", text="How many red circles?", images=(ImageRef(path="a.png"),)).role
    'user'
    """

    role: Role
    text: str
    images: tuple[ImageRef, ...] = ()
    reasoning: str | None = None
    videos: tuple[VideoRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a data set in the native schema: a conversation with its reference answer.

    A row whose last message is the assistant's can be trained on by SFT; a row with an `answer` can be
    trained on by RL (the assistant's turn, if any, is then left off). `family` groups rows in reports,
    `source` says where the row comes from, as FILE:ROW or the name of a generator.

    >>> Row(id="sum-17", messages=(Message(role="user", text="2+3?"),), answer="5", task="math").family
    ''
    """

    id: str
    messages: tuple[Message, ...]
    answer: str | None = None
    task: Task = "math"
    family: str = ""
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A question put to the policy: a row without the assistant's turn, with its mode.

    `thinking` says whether the chat template asks for reasoning before the answer.
    """

    id: str
    messages: tuple[Message, ...]
    answer: str | None
    task: Task
    family: str = ""
    source: str = ""
    thinking: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text of its messages, a line for each."""
        return "\n".join(message.text for message in self.messages)

    @property
    def images(self) -> tuple[ImageRef, ...]:
        """The images of its messages, in order."""
        return tuple(image for message in self.messages for image in message.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSpan:
    """Tokens `[start, stop)` of a response were sampled under `policy_version`."""

    start: int
    stop: int
    policy_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One answer of the policy to a prompt, token for token as the engine saw it.

    `prompt_token_ids` [prompt tokens] hold the image placeholders already expanded; they and
    `response_token_ids` [response tokens] are never made again from text. `rollout_logprobs`
    [response tokens] are the engine's, in nats, of the tokens it sampled at the sampling temperature's
    distribution. `text` is for people and rewards, and is never tokenised.

    >>> r = Rollout(prompt_id="sum-17", index=0, prompt_token_ids=(5, 9), response_token_ids=(7, 2),
    ...             rollout_logprobs=(-0.1, -0.2), text="5", finish_reason="stop",
    ...             spans=(VersionSpan(start=0, stop=2, policy_version=3),), seed=11)
    >>> r.oldest_version, r.newest_version
    (3, 3)
    """

    prompt_id: str
    index: int
    prompt_token_ids: tuple[int, ...]
    response_token_ids: tuple[int, ...]
    rollout_logprobs: tuple[float, ...]
    text: str
    finish_reason: Literal["stop", "length"]
    spans: tuple[VersionSpan, ...]
    seed: int

    @property
    def oldest_version(self) -> int:
        """Policy version of the first token sampled."""
        return min(span.policy_version for span in self.spans)

    @property
    def newest_version(self) -> int:
        """Policy version of the last token sampled."""
        return max(span.policy_version for span in self.spans)


Status = Literal["ok", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a reward says of one rollout.

    `reward` is None exactly when `status` is "failed": it could not be judged (a checker was killed, a
    judge was out of reach), which is never the same as a wrong answer. `components` are named parts of
    the reward before weighting. `failures` are the parts that could not be judged, with "KIND: details".
    `reason` is a sentence for a person; `seconds` the time it took.

    >>> Verdict(reward=1.0, components={"answer": 1.0}, reason="5 equals 5").status
    'ok'
    """

    reward: float | None
    components: Mapping[str, float] = field(default_factory=dict)
    status: Status = "ok"
    reason: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a verdict that is both failed and paid, or neither.

        Raises:
            ValueError: `reward` and `status` contradict each other.
        """
        if (self.reward is None) != (self.status == "failed"):
            raise ValueError(f"a verdict has a reward exactly when it did not fail, not {self.reward=} {self.status=}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The rollouts of one prompt with their verdicts: what advantages are computed over."""

    prompt: Prompt
    rollouts: tuple[Rollout, ...]
    verdicts: tuple[Verdict, ...]

    def __post_init__(self) -> None:
        """Refuse a group whose lists are not aligned.

        Raises:
            ValueError: there is not one verdict for each rollout.
        """
        if len(self.rollouts) != len(self.verdicts):
            raise ValueError(f"{len(self.rollouts)} rollouts but {len(self.verdicts)} verdicts for {self.prompt.id}")

    @property
    def rewards(self) -> Sequence[float | None]:
        """Rewards by rollout, None where judging failed."""
        return [verdict.reward for verdict in self.verdicts]
