"""From an admitted prompt to a judged group: render once, generate, check, judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from halyard.cluster.types import Completion, GenerationRequest
from halyard.cluster.waits import waiting
from halyard.data.chat import to_chat
from halyard.data.types import Group, Rollout, VersionSpan
from halyard.errors import DataError, EngineError
from rewards.sample import Sample
from rewards.structure import split
from rl.types import Admitted, Scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from configs.stages import RlStage
    from halyard.data.types import Prompt, Verdict
    from model.render import Rendered, Renderer
    from rl.clock import Clock
    from rl.live import LiveEngine
    from rl.prompts import PromptStream
    from rl.session import RlSession


class PromptFailure(Exception):
    """This prompt cannot be used, and the reason is its own: the run goes on without it."""


async def roll_out(
    admitted: Admitted,
    stage: RlStage,
    *,
    session: RlSession,
    engine: LiveEngine,
    stream: PromptStream,
    clock: Clock,
) -> Scored:
    """The judged group of a prompt.

    Raises:
        PromptFailure: the prompt cannot be rendered, or is too long.
        EngineError: the engine died too often, or ran on other tokens than it was sent.
    """
    prompt = admitted.prompt
    rendered = render(prompt, session=session, max_tokens=stage.sampling.max_tokens)
    request = GenerationRequest(
        id=f"{prompt.id}@{admitted.occurrence}",
        token_ids=tuple(rendered.token_ids.tolist()),
        images=tuple(rendered.images),
        seeds=stream.seeds(admitted.occurrence, stage.group_size),
        max_tokens=stage.sampling.max_tokens,
        temperature=stage.sampling.temperature,
        top_p=stage.sampling.top_p,
    )
    with clock.phase("generate"):
        completions = await engine.generate(request)
    check_answered(request, completions)
    rollouts = [to_rollout(prompt, index, one, session.renderer) for index, one in enumerate(completions)]
    with clock.phase("score"):
        verdicts = await judge(prompt, rollouts, session=session)
    return Scored(
        admitted=admitted,
        rendered=rendered,
        group=Group(prompt=prompt, rollouts=tuple(rollouts), verdicts=tuple(verdicts)),
    )


def render(prompt: Prompt, *, session: RlSession, max_tokens: int) -> Rendered:
    """Token ids for the engine and pixels for the learner, from one call of the processor.

    Raises:
        PromptFailure: an image cannot be opened, or prompt and response do not fit the engine's window.
    """
    try:
        rendered = session.renderer.prompt(to_chat(prompt.messages), thinking=prompt.thinking)
    except DataError as error:
        raise PromptFailure(str(error)) from error
    if len(rendered.token_ids) + max_tokens > session.window:
        raise PromptFailure(
            f"too long: {len(rendered.token_ids)} prompt tokens and {max_tokens} for the response, "
            f"but the engine's window is {session.window} (cluster.engine.max_model_len)"
        )
    return rendered


def check_answered(request: GenerationRequest, completions: Sequence[Completion]) -> None:
    """Refuse completions of another prompt than was sent, token for token, or not one for each seed.

    Raises:
        EngineError: the learner would train on other tokens than the engine saw.
    """
    if tuple(one.seed for one in completions) != request.seeds:
        raise EngineError(f"the engine answered {request.id} with {len(completions)} completions of other seeds")
    for one in completions:
        if one.prompt_token_ids != request.token_ids:
            raise EngineError(
                f"the engine ran {request.id} on {len(one.prompt_token_ids)} prompt tokens that differ from the "
                f"{len(request.token_ids)} it was sent: image placeholders or the tokenizer do not agree"
            )


def to_rollout(prompt: Prompt, index: int, completion: Completion, renderer: Renderer) -> Rollout:
    """A completion as the run keeps it; its text is for people and rewards alone."""
    return Rollout(
        prompt_id=prompt.id,
        index=index,
        prompt_token_ids=completion.prompt_token_ids,
        response_token_ids=completion.token_ids,
        rollout_logprobs=completion.logprobs,
        text=renderer.decode(completion.token_ids),
        finish_reason=completion.finish_reason,
        spans=tuple(VersionSpan(start=a, stop=b, policy_version=v) for a, b, v in completion.spans),
        seed=completion.seed,
    )


async def judge(prompt: Prompt, rollouts: Sequence[Rollout], *, session: RlSession) -> list[Verdict]:
    """The verdicts on a prompt's rollouts, failed ones among them."""
    samples = [to_sample(prompt, rollout) for rollout in rollouts]
    async with waiting("verdicts", prompt=prompt.id, seconds=session.deadlines.score):
        return await session.scorer.score(samples)


def to_sample(prompt: Prompt, rollout: Rollout) -> Sample:
    """What a reward sees of a rollout."""
    response = split(rollout.text, prompt.thinking)
    return Sample(
        prompt=prompt.text,
        response=rollout.text,
        reasoning=response.reasoning,
        answer=response.answer,
        reference=prompt.answer,
        task=prompt.task,
        family=prompt.family,
        thinking=prompt.thinking,
        finish_reason=rollout.finish_reason,
        prompt_tokens=len(rollout.prompt_token_ids),
        response_tokens=len(rollout.response_token_ids),
        response_token_ids=rollout.response_token_ids,
        images=prompt.images,
        prompt_id=prompt.id,
        metadata=prompt.metadata,
    )
