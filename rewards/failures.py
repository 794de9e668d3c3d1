"""Why a verdict could not be had: few kinds, so that failures can be counted and told from wrong answers."""

from __future__ import annotations

from typing import Literal

from rewards.sample import Judgement

Kind = Literal[
    "timeout",  # no verdict within the deadline; its process was killed
    "memory",  # it took more memory than it may
    "crash",  # its process ended
    "raised",  # the function raised
    "bad value",  # the function returned what is no score
    "undecided",  # the function returned a verdict without a reward
    "bad sample",  # the sample cannot be sent to a process
    "bad reference",  # there is nothing to compare with, or it cannot be read
    "not started",  # the process did not start
    "closed",  # the pool was closed
    "judge",  # a judge model did not answer, or not as it was asked to
]


def failed(kind: Kind, details: str) -> Judgement:
    """A judgement without a score, which says why.

    >>> failed("timeout", "killed after 1.0 s").reason
    'timeout: killed after 1.0 s'
    """
    return Judgement(None, f"{kind}: {details}")
