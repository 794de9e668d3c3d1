"""The best answer that a prompt can be given, taken through template, tokenizer, format and answer checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from configs.rewards import AnswerTerm, FormatTerm, all_terms
from halyard.data.chat import to_chat
from halyard.data.types import Rollout, VersionSpan
from model.render import ChatMessage
from rl.rollouts import judge

if TYPE_CHECKING:
    from configs.rewards import RewardsConfig, Term
    from halyard.data.types import Prompt
    from model.render import Rendered, Renderer
    from rl.session import RlSession


def perfect(prompt: Prompt, answer: str) -> ChatMessage:
    """The assistant's turn that gives `answer` as the prompt's mode and task ask for it."""
    return ChatMessage(
        role="assistant",
        text=answer if prompt.task == "exact" else rf"\boxed{{{answer}}}",
        reasoning=f"The answer is {answer}." if prompt.thinking else None,
    )


def answered(prompt: Prompt, answer: str, renderer: Renderer) -> tuple[Rollout, Rendered]:
    """A rollout as if the policy had written the perfect turn, with the whole conversation as rendered.

    Raises:
        ValueError: the conversation does not begin with the prompt that the policy is given, or never ends.
    """
    chat = to_chat(prompt.messages)
    asked = renderer.prompt(chat, thinking=prompt.thinking).token_ids
    whole = renderer.conversation([*chat, perfect(prompt, answer)], thinking=prompt.thinking)
    if not np.array_equal(whole.token_ids[: len(asked)], asked):
        raise ValueError("the chat template renders a conversation that does not begin with its own prompt")
    after = whole.token_ids[len(asked) :].tolist()
    if renderer.eos_token_id not in after:
        raise ValueError("the chat template does not end the assistant's turn with the end-of-turn token")
    response = tuple(after[: after.index(renderer.eos_token_id) + 1])
    rollout = Rollout(
        prompt_id=prompt.id,
        index=0,
        prompt_token_ids=tuple(asked.tolist()),
        response_token_ids=response,
        rollout_logprobs=(0.0,) * len(response),
        text=renderer.decode(response),
        finish_reason="stop",
        spans=(VersionSpan(start=0, stop=len(response), policy_version=0),),
        seed=0,
    )
    return rollout, whole


def paid_by_rule(prompt: Prompt, rewards: RewardsConfig) -> list[tuple[Term, bool]]:
    """The terms that judge the prompt's answers by a rule, whose most is 1; open questions have no right answer.

    With each, whether it is surely asked: one that stands within another may not be.
    """
    found = [(term, len(keys) == 2) for keys, term in all_terms(rewards.terms)]
    kinds = FormatTerm if prompt.task == "open" else (AnswerTerm, FormatTerm)
    return [
        (term, outermost)
        for term, outermost in found
        if isinstance(term, kinds) and (not term.tasks or prompt.task in term.tasks)
    ]


async def faults(prompt: Prompt, answer: str, session: RlSession, rewards: RewardsConfig) -> list[str]:
    """What keeps the perfect answer from being learnt and paid in full, and a wrong one from being paid less."""
    try:
        right, whole = answered(prompt, answer, session.renderer)
        wrong, _ = answered(prompt, f"7{answer}", session.renderer)
    except ValueError as error:
        return [str(error)]
    found = [*_prompt_faults(prompt, right, session.renderer), *_mask_faults(right, whole)]
    for_right, for_wrong = await judge(prompt, [right, wrong], session=session)
    for term, outermost in paid_by_rule(prompt, rewards):
        name = term.label or term.component
        paid = for_right.components.get(name)
        if paid != 1 and (outermost or paid is not None):
            found.append(f"the {name} reward of the perfect answer {right.text!r} is {paid}, not 1")
        if term.type == "answer" and for_wrong.components.get(name, 0) > 0:
            found.append(f"the answer reward of the wrong answer {wrong.text!r} is not 0")
    return found


def _prompt_faults(prompt: Prompt, rollout: Rollout, renderer: Renderer) -> list[str]:
    """A template that opens the reasoning itself leaves the policy no `<think>` to write, and format unpaid."""
    end = renderer.decode(rollout.prompt_token_ids).rstrip()
    if prompt.thinking and end.endswith("<think>"):
        return ["the chat template ends the prompt with <think>, so that the policy never writes it"]
    return []


def _mask_faults(rollout: Rollout, whole: Rendered) -> list[str]:
    """From the prompt's last token on, the template's own loss mask must be what RL learns: the response alone."""
    start = len(rollout.prompt_token_ids)
    stop = start + len(rollout.response_token_ids)
    places = np.arange(start - 1, len(whole.loss_mask))
    learnt = places[whole.loss_mask[start - 1 :]]
    if np.array_equal(learnt, np.arange(start, stop)):
        return []
    span = f"tokens {learnt[0]} to {learnt[-1]}" if learnt.size else "nothing"
    return [f"the template's loss mask covers {span}, where the response is tokens {start} to {stop - 1}"]
