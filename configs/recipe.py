"""A recipe: the whole of a run, from the first weights to the last evaluation."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from configs.base import Config, Name, Natural, Positive
from configs.cluster import ClusterConfig
from configs.model import ModelConfig
from configs.stages import EvaluateConfig, Stage


class Recipe(Config):
    """A pipeline of stages over one cluster."""

    name: Name
    """What runs are called when they are given no name."""
    description: str = ""
    """A sentence for the list of recipes and the header of runs."""
    seed: Natural = 0
    """Everything random in the run follows from this."""
    minutes: Positive | None = None
    """How long the run takes on the machine it was written for, for the header."""
    model: ModelConfig
    """What the policy starts as."""
    cluster: ClusterConfig = ClusterConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    """Run in this order, each from what the one before it left."""
