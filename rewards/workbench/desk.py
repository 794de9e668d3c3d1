"""A reward at the desk: live as in a run, be it a shipped one, a function in a file, or a recipe's whole rewards."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from configs.faults import nearest
from configs.judge import JudgeTerm
from configs.load import LoadedRecipe, load_recipe, shipped
from configs.rewards import AnswerTerm, RewardsConfig, RewardTerm, all_terms
from configs.stages import RlStage
from halyard.data.types import Verdict
from halyard.errors import ConfigError
from rewards.judges.court import Court
from rewards.sample import Sample
from rewards.scorer import Scorer


@dataclass(slots=True)
class Desk:
    """Rewards that are live; `seconds` is how long they have judged."""

    name: str
    scorer: Scorer
    seconds: float = 0.0

    async def score(self, samples: Sequence[Sample]) -> list[Verdict]:
        """The verdicts on samples, in their order; samples of one group must come together."""
        began = time.perf_counter()
        verdicts = await self.scorer.score(samples)
        self.seconds += time.perf_counter() - began
        return verdicts


@asynccontextmanager
async def desk(
    name: str, parameters: Mapping[str, Any] | None = None, *, judge: str | None = None
) -> AsyncIterator[Desk]:
    """A reward by name, live for as long as the block lasts.

    `judge` is the URL that judge terms without one ask.

    Raises:
        ConfigError: there is no such reward, or a parameter is wrong.
        RewardError: its file cannot be run.
    """
    config, root = find(name, parameters or {})
    if judge is None and any(isinstance(term, JudgeTerm) and term.url is None for _, term in all_terms(config.terms)):
        raise ConfigError(f"{name} asks a judge model, and does not say where it is: add --judge http://HOST:PORT/v1")
    # No number of failed verdicts stops a trial: they are what it shows.
    patient = config.model_copy(update={"max_failure_share": 1.0})
    scorer = await Scorer.start(patient, judge=Court(url=judge, root=root), root=root)
    try:
        yield Desk(name, scorer)
    finally:
        await scorer.close()


def find(name: str, parameters: Mapping[str, Any]) -> tuple[RewardsConfig, Path]:
    """The rewards of that name, and the folder that their paths start from.

    `name` is a recipe's (`mine.yaml`, `mine.yaml:STAGE`, `quickstart:verifiable-rl`), or one reward's: a name of the
    catalogue, `file.py:function`, or `answer` for the term of recipes that grades each task in its way.

    Raises:
        ConfigError: there is none, or parameters are given to a recipe.
    """
    recipe, _, stage = name.partition(":")
    if recipe in shipped() or Path(recipe).suffix in (".yaml", ".yml"):
        if parameters:
            raise ConfigError(f"{name} is a recipe, whose parameters are in it: leave --parameter out")
        loaded = load_recipe(recipe)
        return _stage(loaded, stage).rewards, loaded.root
    return _alone(name, parameters), Path.cwd()


def _stage(loaded: LoadedRecipe, name: str) -> RlStage:
    """The RL stage of that name, or the only one."""
    stages = {stage.name: stage for stage in loaded.recipe.stages if isinstance(stage, RlStage)}
    if name in stages:
        return stages[name]
    if not stages:
        raise ConfigError(f"the recipe {loaded.recipe.name} has no stage of type rl, and so no rewards")
    if not name and len(stages) == 1:
        return next(iter(stages.values()))
    written = ", ".join(f"{loaded.path.name}:{stage}" for stage in stages)
    fault = f"no RL stage {name}{nearest(name, stages)}" if name else f"{len(stages)} RL stages"
    raise ConfigError(f"the recipe {loaded.recipe.name} has {fault}; name the one whose rewards you mean: {written}")


def _alone(name: str, parameters: Mapping[str, Any]) -> RewardsConfig:
    """Rewards of one term: the reward of that name; `answer` is the term that grades each task in its way."""
    if name == "answer" and not parameters:
        return RewardsConfig(terms=(AnswerTerm(),))
    try:
        return RewardsConfig(terms=(RewardTerm(name=name, parameters=dict(parameters)),))
    except ValidationError as error:  # a rubric's name stands for a judge, whose parameters are keys of a recipe
        raise ConfigError("; ".join(fault["msg"].removeprefix("Value error, ") for fault in error.errors())) from error
