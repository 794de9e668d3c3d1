"""What the preflight tries a run on: a few of its own prompts, with images where the policy can see."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from PIL import ImageOps

from halyard.cluster.types import Completion, GenerationRequest, TrainSequence
from halyard.data.drawing import SIZE, drawing
from halyard.data.types import ImageRef, Message, Prompt
from halyard.errors import PreflightError
from rl.prompts import PromptStream
from rl.rollouts import PromptFailure, check_answered, render, to_rollout
from rl.sequences import sequence

if TYPE_CHECKING:
    from PIL.Image import Image

    from configs.stages import RlStage
    from model.render import Rendered
    from rl.session import RlSession

PROBES = 4
SEARCHED = 64
MAX_TOKENS = 16
"""Prompts tried, prompts looked through for images and both modes, longest answer in tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A prompt with an answer that the engine sampled, and the sequence that the learner makes of it."""

    prompt: Prompt
    rendered: Rendered
    completion: Completion
    sequence: TrainSequence

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Prompt and response, as the engine can score them."""
        return self.completion.prompt_token_ids + self.completion.token_ids

    def response(self, logprobs: Iterable[float]) -> np.ndarray:
        """Of log-probs [tokens], those [response tokens] of the response."""
        return np.asarray(logprobs, dtype=np.float64)[len(self.completion.prompt_token_ids) :]

    def learnt(self, logprobs: np.ndarray) -> np.ndarray:
        """Of log-probs [tokens], those [learnt tokens] under the loss mask."""
        return logprobs[self.sequence.loss_mask].astype(np.float64)

    def inverted(self) -> tuple[TrainSequence, tuple[Image, ...]]:
        """The same tokens over negatives of the images, as the learner and as the engine take them."""
        assert self.sequence.pixel_values is not None
        images = tuple(ImageOps.invert(image.convert("RGB")) for image in self.rendered.images)
        return replace(self.sequence, pixel_values=-self.sequence.pixel_values), images


async def sample(stage: RlStage, session: RlSession) -> list[Probe]:
    """A few prompts with an answer each; images and both modes are among them where the stage has them.

    Raises:
        PreflightError: no prompt can be used.
        EngineError: the engine ran on other tokens than it was sent.
    """
    most = min(MAX_TOKENS, stage.sampling.max_tokens)
    chosen: list[tuple[Prompt, Rendered]] = []
    for prompt in candidates(stage, session):
        with suppress(PromptFailure):
            chosen.append((prompt, render(prompt, session=session, max_tokens=most)))
        if len(chosen) == PROBES:
            break
    else:
        raise PreflightError(
            f"of the first {SEARCHED} prompts only {len(chosen)} can be used: the others are longer than "
            f"cluster.engine.max_model_len ({session.window}) allows, or have images that cannot be opened"
        )
    if session.renderer.image_token_id is not None and not any(has_images(prompt) for prompt, _ in chosen):
        try:
            chosen[-1] = drawn(), render(drawn(), session=session, max_tokens=most)
        except PromptFailure as failure:
            raise PreflightError(f"the policy can see, but no prompt with an image can be used: {failure}") from failure
    return [await _answered(*pair, index, stage, session) for index, pair in enumerate(chosen)]


def candidates(stage: RlStage, session: RlSession) -> list[Prompt]:
    """The first prompts of the stage's stream, the first of each kind in front; the stream stays where it was."""
    stream = PromptStream.of(stage, session)
    position = stream.position
    prompts = [stream.next(0).prompt for _ in range(SEARCHED)]
    stream.seek(position)
    kinds: dict[tuple[bool, bool], list[Prompt]] = {}
    for prompt in prompts:
        kinds.setdefault((has_images(prompt), prompt.thinking), []).append(prompt)
    return [prompt for turn in zip_longest(*kinds.values()) for prompt in turn if prompt is not None]


def has_images(prompt: Prompt) -> bool:
    """Whether a message of the prompt has an image or a video."""
    return any(message.images or message.videos for message in prompt.messages)


def drawn() -> Prompt:
    """A prompt with an image, for a data set that has none: the vision tower is part of what is trained."""
    circle = {"shape": "circle", "at": [SIZE // 2, SIZE // 2], "size": SIZE // 2, "colour": "red"}
    image = ImageRef(drawing=drawing([circle]))
    message = Message(role="user", text="What is shown?", images=(image,))
    return Prompt(id="preflight", messages=(message,), answer=None, task="open")


async def _answered(prompt: Prompt, rendered: Rendered, index: int, stage: RlStage, session: RlSession) -> Probe:
    """The prompt with an answer of the engine, as the loop would train on it with advantage 1."""
    request = GenerationRequest(
        id=f"preflight {prompt.id}",
        token_ids=tuple(rendered.token_ids.tolist()),
        images=tuple(rendered.images),
        seeds=(index,),
        max_tokens=min(MAX_TOKENS, stage.sampling.max_tokens),
        temperature=stage.sampling.temperature,
        top_p=stage.sampling.top_p,
    )
    completions = await session.engine.generate(request)
    check_answered(request, completions)
    rollout = to_rollout(prompt, 0, completions[0], session.renderer)
    share = 1 / (PROBES * len(rollout.response_token_ids))
    return Probe(
        prompt=prompt,
        rendered=rendered,
        completion=completions[0],
        sequence=sequence(rollout, advantage=1.0, share=share, rendered=rendered),
    )
