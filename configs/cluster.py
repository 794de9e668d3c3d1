"""How many engines and learner ranks there are, and what each may use."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.base import Config, Count, Flag, Natural, NonNegative, Positive


class EngineConfig(Config):
    """One vLLM engine, times `count`."""

    count: Count = 1
    """Engines, each with its own copy of the policy."""
    cpus: NonNegative = 1
    """Processor cores that each engine is given."""
    gpus: NonNegative = 0
    """GPUs that each engine is given; a fraction shares one. Zero runs vLLM on the CPU."""
    tensor_parallel: Count = 1
    """GPUs that one copy of the policy is spread over; on a CPU, processes, each of which needs a core."""
    max_model_len: Count = 512
    """Longest prompt and response together, in tokens."""
    max_num_seqs: Count = 256
    """Sequences decoded at the same time."""
    kv_cache_gib: Positive = 0.5
    """Memory for the key-value cache on a CPU, in GiB."""
    gpu_memory_utilization: Positive = 0.5
    """Share of a GPU's memory that vLLM may take."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision the engine computes in."""
    model_path: Literal["native", "transformers"] = "native"
    """Layers that vLLM runs the policy with: its own, or transformers' by its Transformers backend, the reference."""


class LearnerConfig(Config):
    """The DeepSpeed learner: one Ray actor a rank."""

    ranks: Count = 1
    """Processes that share the work of one optimiser step."""
    cpus: NonNegative = 1
    """Processor cores that each rank is given."""
    gpus: NonNegative = 0
    """GPUs that each rank is given; zero trains on the CPU."""
    zero_stage: Annotated[Natural, Field(le=3)] = 0
    """What DeepSpeed ZeRO splits over the ranks: nothing, optimiser state, + gradients, + weights."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the forward and backward pass; the optimiser's own copy is always float32."""
    tokens_per_pack: Count = 4096
    """Tokens of one micro-batch, packed without padding."""
    sequence_parallel: Count = 1
    """Neighbouring ranks that cut the tokens of each micro-batch among themselves (Ulysses): for long sequences."""
    activation_checkpointing: Flag = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    port: Annotated[Count, Field(le=65535)] | None = None
    """TCP port at which the ranks find each other, for machines behind a firewall; none takes a free one."""


class Deadlines(Config):
    """Longest waits, in seconds, before a run stops and says what it waited for."""

    start: Positive = 300
    """An engine or a learner to come up."""
    generate: Positive = 600
    """One prompt's rollouts."""
    update: Positive = 600
    """One optimiser step."""
    transfer: Positive = 120
    """Weights to reach the engines."""
    score: Positive = 300
    """The verdicts on one prompt's rollouts."""


class ClusterConfig(Config):
    """Engines and learner ranks, and how they share the machine."""

    address: str | None = None
    """An existing Ray cluster to join (`auto` or HOST:PORT); none starts one on this machine."""
    engine: EngineConfig = EngineConfig()
    learner: LearnerConfig = LearnerConfig()
    placement: Literal["side_by_side", "sharing"] = "side_by_side"
    """Whether engines and learner ranks have cores or GPUs of their own, or take turns on the same."""
    transfer: Literal["auto", "shared_memory", "nccl", "ipc"] = "auto"
    """How new weights reach the engines; auto: shared memory on CPUs, ipc where GPUs are shared, else nccl."""
    verify_weights: Flag = False
    """Compare checksums of every tensor on both sides after each transfer."""
    deadlines: Deadlines = Deadlines()
    engine_restarts: Natural = 1
    """How often a dead engine is started again before the run ends."""
    learner_restarts: Natural = 1
    """How often a lost learner is replaced by one that goes on from the newest checkpoint, before the run ends."""
