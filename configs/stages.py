"""The stages of a pipeline: trainers (sft, rl) and the makers of data between them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictInt

from configs.algorithm import AlgorithmConfig
from configs.base import LIVE, Config, Count, Flag, Name, Natural, NonNegative, Positive, Share
from configs.data import DataConfig
from configs.model import ModelConfig
from configs.rewards import RewardsConfig
from configs.training import CheckpointConfig, OptimizerConfig
from halyard.tasks import Task


class SamplingConfig(Config):
    """How the engine draws answers."""

    temperature: Annotated[NonNegative, LIVE] = 1.0
    """0 is greedy. Training needs 1.0 or another positive number; log-probs are of the tempered distribution."""
    top_p: Annotated[Positive, Field(le=1)] = 1.0
    """Draw from the likeliest tokens that together have this probability; training needs 1."""
    max_tokens: Count = 128
    """Longest response, in tokens."""


class BenchmarkConfig(Config):
    """Held-out problems, answered in each mode."""

    name: Name
    """What its figures go by."""
    data: DataConfig
    """Held-out problems: rows with answers."""
    modes: tuple[Literal["thinking", "direct"], ...] = ("thinking", "direct")
    """Whether the policy is asked to reason, to answer directly, or each in turn."""
    samples: Count = 4
    """Answers a problem; pass@1 is their mean."""
    sampling: SamplingConfig = SamplingConfig()


class EvaluateConfig(Config):
    """What is measured after every stage that trains the policy."""

    benchmarks: tuple[BenchmarkConfig, ...] = ()
    """Each is a row of the final table; none measures nothing."""


class HeldOutConfig(Config):
    """Accuracy on the recipe's benchmarks while a stage trains: a reward that rises alone is being hacked."""

    every: Natural = 20
    """Steps between measurements; 0 measures nothing. A recipe without benchmarks has nothing to measure."""
    rows: Count = 64
    """Problems of each benchmark, the same ones each time, answered once in each of its modes."""
    alarm_after: Annotated[StrictInt, Field(ge=3)] = 5
    """Measurements over which the reward must rise, and accuracy must not, for an alarm."""


class _Stage(Config):
    name: Name
    """What folders, overrides and later stages call it."""


class SftStage(_Stage):
    """Supervised fine-tuning on the assistant's tokens."""

    type: Literal["sft"] = "sft"
    role: Literal["policy", "judge"] = "policy"
    """Which model is trained: the pipeline's policy, or the judge of its rewards."""
    model: ModelConfig | None = None
    """Start from this model; none goes on with the newest snapshot of the role."""
    data: DataConfig
    """Conversations: rows whose last message is the assistant's."""
    steps: Count
    """Optimiser steps."""
    sequences_per_step: Count = 64
    """Conversations of one step."""
    optimizer: OptimizerConfig = OptimizerConfig()
    validation: DataConfig | None = None
    """Held-out conversations, for the validation loss."""
    validate_every: Count = 100
    """Steps between validation losses."""
    checkpoint: CheckpointConfig = CheckpointConfig(every=200)


class RlStage(_Stage):
    """Reinforcement learning from verdicts."""

    type: Literal["rl"] = "rl"
    data: DataConfig
    """Questions: rows with an answer; an assistant's message is left off."""
    steps: Count
    """Steps: each takes prompts_per_step groups."""
    prompts_per_step: Count = 32
    """Groups of one step."""
    group_size: Annotated[StrictInt, Field(ge=2)] = 8
    """Samples a prompt."""
    thinking_tasks: tuple[Task, ...] = ("math", "stem")
    """Tasks that are asked to reason first; prompts of the others are answered directly."""
    direct_share: Share = 0.0
    """Share of the prompts of thinking_tasks that ask for a direct answer all the same."""
    sampling: SamplingConfig = SamplingConfig()
    algorithm: AlgorithmConfig = AlgorithmConfig()
    rewards: RewardsConfig = RewardsConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    max_staleness: Annotated[Natural, LIVE] = 0
    """Steps by which the weights a rollout was sampled with may lag those it trains; 0: on-policy, deterministic."""
    max_prompts_tried: Positive = 10.0
    """Give up a step after trying this many times prompts_per_step prompts without finding enough signal."""
    drift_warning: Positive = 1e-2
    """Mean |difference| of engine and learner log-probs above which the run warns, in nats."""
    held_out: HeldOutConfig = HeldOutConfig()
    checkpoint: CheckpointConfig = CheckpointConfig(every=20)


class FilterStage(_Stage):
    """Keep the prompts whose pass@k under the newest policy says that there is something to learn."""

    type: Literal["filter"] = "filter"
    data: DataConfig
    """Prompts to try."""
    samples: Count = 4
    """Answers a prompt: the k of pass@k."""
    keep: Literal["sometimes", "not_always"] = "sometimes"
    """Drop the always and the never solved; or (tasks without reasoning) only the always solved."""
    thinking: Flag = True
    """Whether the policy is asked to reason."""
    sampling: SamplingConfig = SamplingConfig()


class HarvestStage(_Stage):
    """Rejection sampling over an RL stage's own rollouts, beside direct answers: Think-Fusion's data."""

    type: Literal["harvest"] = "harvest"
    stage: Name
    """The RL stage whose rollouts are used."""
    rows: Count = 1000
    """Rows to write in all."""
    thinking_share: Annotated[Positive, Field(lt=1)] = 0.1
    """Share of the harvested reasoning; the rest are direct rows of `direct`."""
    direct: DataConfig
    """Conversations that are answered without reasoning."""
    last_steps: Share = 0.5
    """Only rollouts of this last part of the RL stage are taken."""


class HardCasesStage(_Stage):
    """Prompts that the newest policy still does poorly on, with as many general ones: mixed RL's data."""

    type: Literal["hard_cases"] = "hard_cases"
    data: DataConfig
    """Reasoning problems to look for hard cases in."""
    general: DataConfig
    """General problems, added in equal number."""
    samples: Count = 4
    """Answers a problem."""
    max_pass_rate: Share = 0.5
    """A case is hard when at most this share of its samples is right."""
    keep_never_solved: Flag = False
    """Whether problems that no sample solved are kept: they may be too hard, or wrong."""
    sampling: SamplingConfig = SamplingConfig()


Stage = Annotated[SftStage | RlStage | FilterStage | HarvestStage | HardCasesStage, Field(discriminator="type")]
