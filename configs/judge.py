"""Judges as data: which model is asked, over what endpoint, by which rubric, and what it may cost."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, Literal

from pydantic import Field

from configs.base import Config, Count, NonNegative, Positive
from configs.term import BaseTerm


class PricesConfig(Config):
    """What an endpoint charges for a million tokens, in the currency of the budget."""

    input: NonNegative = 0.0
    """For tokens of prompts."""
    output: NonNegative = 0.0
    """For tokens of replies."""


class BudgetConfig(Config):
    """What may be spent on an endpoint over the whole run, resumed ones included; none sets no limit."""

    calls: Count | None = None
    """Calls, failed ones among them."""
    tokens: Count | None = None
    """Tokens of prompts and replies."""
    money: Positive | None = None
    """Money, by the prices given."""


class RateConfig(Config):
    """What an endpoint may be sent in a minute; none sets no limit."""

    requests: Count | None = None
    """Calls."""
    tokens: Count | None = None
    """Tokens of prompts and replies: estimated before a call, put right after it."""


class JudgeEndpoint(Config):
    """Where a judge is and how it may be used. Terms that say all of this alike share limits and budget."""

    url: str | None = None
    """Base URL of an OpenAI-compatible endpoint; none asks the judge that the pipeline trained."""
    model: str = "judge"
    """Name of the model at the endpoint."""
    api_key_env: str | None = None
    """Environment variable that holds the key."""
    timeout: Positive = 30.0
    """Seconds to wait for one answer."""
    retries: Count = 3
    """Tries before a question is given up, or the judge is taken to be down."""
    concurrency: Count = 64
    """Questions asked at the same time."""
    rate: RateConfig = RateConfig()
    """Limits by the minute."""
    prices: PricesConfig = PricesConfig()
    """What tokens cost, so that money can be counted."""
    budget: BudgetConfig = BudgetConfig()
    """What may be spent; when it is, `on_outage` says what follows."""
    patience: Positive = 240.0
    """Seconds that the run waits for a judge that is down, before `on_outage`."""
    cache: str | None = None
    """Folder that keeps the answers for other runs, too, relative to the recipe; none keeps them in the run."""


class JudgeTerm(BaseTerm, JudgeEndpoint):
    """What a judge model makes of a response, by a rubric: between 0 and 1."""

    type: Literal["judge"] = "judge"
    rubric: str = "consistency"
    """A shipped rubric (consistency, thinking, helpfulness, pairwise), or a YAML file, relative to the recipe."""
    votes: Count = 1
    """Times that each question is asked; the median of the votes counts, and most of them must be had."""
    temperature: NonNegative | None = None
    """Sampling temperature of the judge; none is 0 for one vote, 0.7 for several."""
    max_tokens: Count | None = None
    """Longest reply; none is what the rubric needs: 8 for a word, 1024 for reasons."""
    structured: Literal["auto", "always", "never"] = "auto"
    """Whether a JSON schema is sent along; auto leaves it out once the endpoint has refused it."""
    body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of each request, such as {reasoning_effort: low}; null leaves out one that is sent otherwise."""
    opponents: Count | None = None
    """For rubrics that compare: answers of its group that each is compared with; none means all."""
    on_outage: Literal["drop", "stop"] = "drop"
    """When patience or budget ends: go on without those rollouts, or stop the run, which can be resumed."""

    @property
    def component(self) -> str:
        """What the term's component is called unless it has a label: the rubric's name, or that of its file."""
        return PurePath(self.rubric).stem if self.rubric.endswith((".yaml", ".yml")) else self.rubric

    @property
    def sampling_temperature(self) -> float:
        """The temperature that is sent."""
        return self.temperature if self.temperature is not None else 0.7 if self.votes > 1 else 0.0
