"""Rewards as data: named terms with weights, and what happens when a verdict cannot be had."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from configs.base import Config, Count, NonNegative, Positive, Share
from halyard.tasks import Task


class _Term(Config):
    weight: NonNegative = 1.0
    """Weight of this term in the sum; 0 only records it."""
    tasks: tuple[Task, ...] = ()
    """Tasks that this term judges; none named means all. The weights that apply to a prompt are scaled to sum to 1."""


class AnswerTerm(_Term):
    """1 if the final answer is right: by mathematics for math and stem, by text for exact."""

    type: Literal["answer"] = "answer"


class FormatTerm(_Term):
    r"""1 if the response has the structure of its mode: `<think>…</think>` and one `\boxed{}`, or no thinking."""

    type: Literal["format"] = "format"


class JudgeTerm(_Term):
    """1 if a judge model says yes to a question about the response."""

    type: Literal["judge"] = "judge"
    criterion: Literal["consistency"] = "consistency"
    """What is asked: does the reasoning agree with the final answer?"""
    url: str | None = None
    """Base URL of an OpenAI-compatible endpoint; none asks the judge that the pipeline trained."""
    model: str = "judge"
    """Name of the model at the endpoint."""
    api_key_env: str | None = None
    """Environment variable that holds the key."""
    timeout: Positive = 30.0
    """Seconds to wait for one answer."""
    retries: Count = 3
    """Tries before a verdict counts as failed."""
    concurrency: Count = 64
    """Questions asked at the same time."""


class PythonTerm(_Term):
    """A researcher's function, decorated with `@reward`."""

    type: Literal["python"] = "python"
    path: str
    """A Python file, relative to the recipe's folder, or an importable module."""
    name: str
    """The function in it."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments that the function is given beside the sample."""


Term = Annotated[AnswerTerm | FormatTerm | JudgeTerm | PythonTerm, Field(discriminator="type")]


class RewardsConfig(Config):
    """A weighted sum of terms. Only when all answers of a group were judged is the group used."""

    terms: Annotated[tuple[Term, ...], Field(min_length=1)] = (AnswerTerm(weight=0.9), FormatTerm(weight=0.1))
    """What is judged; the rewards of the terms that apply to a prompt are added up by weight."""
    deadline: Positive = 1.0
    """Seconds that one rule-based verdict may take before its process is killed."""
    workers: Count = 1
    """Processes that judge by rules."""
    on_failure: Literal["drop_rollout", "zero"] = "drop_rollout"
    """A rollout that could not be judged: left out of its group, or paid nothing."""
    max_failure_share: Share = 0.2
    """The run stops when a larger share of a step's verdicts failed."""
