"""Rewards that look at the length of a response."""

from __future__ import annotations

from rewards.registry import reward
from rewards.sample import Judgement, Sample


@reward(inline=True)
def overlong(sample: Sample, longest: int, buffer: int) -> Judgement:
    """A soft limit on length: 0 up to `longest - buffer` tokens of response, then falling to -1 at `longest`.

    To be added to a reward of answers, so that a response learns to end before it is cut.

    Args:
        longest: Tokens from which on a response pays the whole penalty.
        buffer: Tokens over which the penalty grows.

    Source: DAPO (arXiv 2503.14476), equation 13.
    """
    beyond = sample.response_tokens - (longest - buffer)
    penalty = -1.0 if sample.response_tokens >= longest else -max(0.0, beyond / buffer)
    return Judgement(penalty or 0.0, f"{sample.response_tokens} tokens of at most {longest - buffer} to {longest}")
