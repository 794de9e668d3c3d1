"""Rewards that look at whether a response thinks at all."""

from __future__ import annotations

from rewards.failures import failed
from rewards.registry import reward
from rewards.sample import Judgement, Sample
from rewards.structure import boxes
from rewards.verifiers.format import says_something


@reward(inline=True)
def decision(sample: Sample, think_when: str = "") -> Judgement:
    """1 if the response thinks exactly when it should: when the mode asks for it, or the question's label says so.

    The judging reward of SAIL-RL, which teaches a policy to tell questions that need reasoning from those that
    do not. A response without an answer that can be seen has decided nothing, and scores 0.

    Args:
        think_when: Key of the metadata that holds true or false for a question that needs thinking or none;
            empty takes the mode that was asked for.

    Source: SAIL-RL (arXiv 2511.02280), section on the judging reward.
    """
    wanted = sample.metadata.get(think_when) if think_when else sample.thinking
    if not isinstance(wanted, bool):
        return failed("bad reference", f"the metadata has no true or false under {think_when}")
    if not any(map(says_something, boxes(sample.answer) or [sample.answer])):
        return Judgement(0.0, "there is no answer")
    thinks = sample.reasoning is not None
    did, should = ("thinks" if thinks else "answers directly"), ("should" if thinks == wanted else "should not")
    return Judgement(float(thinks == wanted), f"{did}, as it {should}")
