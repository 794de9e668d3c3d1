"""What no single field can know: contradictions between the parts of a recipe, with the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from configs.cluster import ClusterConfig, LearnerConfig
from configs.data import DataConfig, StageSource, SyntheticSource
from configs.faults import Fault, nearest
from configs.judge import JudgeTerm
from configs.recipe import Recipe
from configs.reward_checks import contradictions as reward_contradictions
from configs.rewards import all_terms
from configs.schema import KeyPath
from configs.stages import (
    BenchmarkConfig,
    FilterStage,
    HardCasesStage,
    HarvestStage,
    RlStage,
    SamplingConfig,
    SftStage,
    Stage,
)

Faults = Iterator[Fault]


def contradictions(recipe: Recipe) -> list[Fault]:
    """All contradictions in a recipe; an empty list when it makes sense."""
    checks: tuple[Callable[[Recipe], Faults], ...] = (
        _names,
        _stages_named,
        _judges,
        _lengths,
        _cluster,
        _benchmarks,
        _stages,
    )
    return [fault for check in checks for fault in check(recipe)]


def data_of(recipe: Recipe) -> Iterator[tuple[KeyPath, DataConfig]]:
    """Every mixture of sources in a recipe, with its key path."""
    for index, benchmark in enumerate(recipe.evaluate.benchmarks):
        yield ("evaluate", "benchmarks", index, "data"), benchmark.data
    for index, stage in enumerate(recipe.stages):
        for key in ("data", "validation", "direct", "general"):
            data = getattr(stage, key, None)
            if data is not None:
                yield ("stages", index, key), data


def _names(recipe: Recipe) -> Faults:
    for where, named in ((("stages",), recipe.stages), (("evaluate", "benchmarks"), recipe.evaluate.benchmarks)):
        seen: dict[str, int] = {}
        for index, part in enumerate(named):
            first = seen.setdefault(part.name, index)
            if first != index:
                yield Fault((*where, index, "name"), f"is {part.name}, which {where[-1]}[{first}] is called already")


def _stages_named(recipe: Recipe) -> Faults:
    """Stages that are named by others come before them, and are of the right kind."""
    makers = (FilterStage, HarvestStage, HardCasesStage)
    for path, data in data_of(recipe):
        earlier = recipe.stages[: int(path[1])] if path[0] == "stages" else ()
        for index, source in enumerate(data.sources):
            if isinstance(source, StageSource):
                names = [stage.name for stage in earlier if isinstance(stage, makers)]
                kind = "filter, harvest or hard_cases stage"
                yield from _named((*path, "sources", index, "stage"), source.stage, names, kind)
    for index, stage in enumerate(recipe.stages):
        if isinstance(stage, HarvestStage):
            names = [earlier.name for earlier in recipe.stages[:index] if isinstance(earlier, RlStage)]
            yield from _named(("stages", index, "stage"), stage.stage, names, "rl stage")


def _named(path: KeyPath, name: str, names: list[str], kind: str) -> Faults:
    if name not in names:
        there = f"before it there are {', '.join(names)}" if names else "there is none before it"
        yield Fault(path, f"is {name}, expected the name of an earlier {kind}: {there}{nearest(name, names)}")


def _judges(recipe: Recipe) -> Faults:
    trained = False
    for index, stage in enumerate(recipe.stages):
        path: KeyPath = ("stages", index)
        if isinstance(stage, SftStage) and stage.role == "judge":
            if not trained and stage.model is None:
                yield Fault((*path, "model"), "is missing: the judge's first stage says which model it starts from")
            trained = True
        if isinstance(stage, RlStage) and not trained:
            for keys, term in all_terms(stage.rewards.terms):
                if isinstance(term, JudgeTerm) and term.url is None:
                    message = "has no url, and no earlier sft stage with role: judge trains a judge to ask"
                    yield Fault((*path, "rewards", *keys), message)
        if isinstance(stage, RlStage):
            yield from _asked(path, stage, recipe.cluster.deadlines.score)


def _asked(path: KeyPath, stage: RlStage, deadline: float) -> Faults:
    """Judges of one stage: the pipeline's has one name, waits end before the run's deadline, money has prices."""
    served: str | None = None
    for keys, term in all_terms(stage.rewards.terms):
        if not isinstance(term, JudgeTerm):
            continue
        where = (*path, "rewards", *keys)
        if term.url is None:
            served = served or term.model
            if term.model != served:
                message = f"is {term.model}, but another term calls the judge that the pipeline trained {served}"
                yield Fault((*where, "model"), message)
        if term.patience + term.timeout >= deadline:
            message = (
                f"is {term.patience:g}: with the timeout of {term.timeout:g} it is not less than "
                f"cluster.deadlines.score, {deadline:g}, at which the run stops"
            )
            yield Fault((*where, "patience"), message)
        if term.budget.money is not None and not (term.prices.input or term.prices.output):
            yield Fault((*where, "budget", "money"), "is set, but prices say nothing: money cannot be counted")


def _lengths(recipe: Recipe) -> Faults:
    """Prompt and response fit into the engine's window, and the window into a pack."""
    window = recipe.cluster.engine.max_model_len
    if recipe.cluster.learner.tokens_per_pack < window:
        pack = recipe.cluster.learner.tokens_per_pack
        message = f"is {pack}, but one sequence may have {window} tokens (cluster.engine.max_model_len)"
        yield Fault(("cluster", "learner", "tokens_per_pack"), message)
    for index, stage in enumerate(recipe.stages):
        if isinstance(stage, RlStage | FilterStage | HardCasesStage):
            yield from _too_long(("stages", index), stage.sampling, stage.data, window)


def _too_long(path: KeyPath, sampling: SamplingConfig, data: DataConfig, window: int) -> Faults:
    prompt = data.max_prompt_tokens
    if sampling.max_tokens + (prompt or 1) > window:
        asked = f"{prompt} tokens of prompt (data.max_prompt_tokens)" if prompt else "the shortest prompt"
        message = f"is {sampling.max_tokens}: with {asked} it is more than engine.max_model_len, {window}"
        yield Fault((*path, "sampling", "max_tokens"), message)


def benchmark_faults(path: KeyPath, benchmark: BenchmarkConfig, window: int) -> Faults:
    """Contradictions in the benchmark at `path`, whose engine's window is `window` tokens."""
    yield from _too_long(path, benchmark.sampling, benchmark.data, window)
    yield from _sources((*path, "data"), benchmark.data)
    if not benchmark.modes:
        yield Fault((*path, "modes"), "is empty, expected thinking, direct or both")


def _benchmarks(recipe: Recipe) -> Faults:
    for index, benchmark in enumerate(recipe.evaluate.benchmarks):
        path: KeyPath = ("evaluate", "benchmarks", index)
        yield from benchmark_faults(path, benchmark, recipe.cluster.engine.max_model_len)


def _cluster(recipe: Recipe) -> Faults:
    cluster: ClusterConfig = recipe.cluster
    engine, learner = cluster.engine, cluster.learner
    if engine.gpus and engine.tensor_parallel > 1 and engine.gpus != engine.tensor_parallel:
        message = f"is {engine.tensor_parallel}, but cluster.engine.gpus is {engine.gpus:g}: expected the same number"
        yield Fault(("cluster", "engine", "tensor_parallel"), message)
    if not engine.gpus and engine.tensor_parallel > max(engine.cpus, 1):
        message = f"is {engine.tensor_parallel}, but cluster.engine.cpus is {engine.cpus:g}: expected a core for each"
        yield Fault(("cluster", "engine", "tensor_parallel"), message)
    if engine.gpu_memory_utilization > 1:
        message = f"is {engine.gpu_memory_utilization:g}, expected a share of the GPU's memory, at most 1"
        yield Fault(("cluster", "engine", "gpu_memory_utilization"), message)
    if learner.ranks % learner.sequence_parallel:
        ranks = f"cluster.learner.ranks is {learner.ranks}"
        message = f"is {learner.sequence_parallel}, but {ranks}: expected a divisor of it"
        yield Fault(("cluster", "learner", "sequence_parallel"), message)
    for part, config in (("engine", engine), ("learner", learner)):
        if cluster.transfer in ("nccl", "ipc") and not config.gpus:
            message = f"is {cluster.transfer}, which moves weights between GPUs, but cluster.{part}.gpus is 0"
            yield Fault(("cluster", "transfer"), message)
        if not config.gpus and not config.cpus:
            yield Fault(("cluster", part, "cpus"), "is 0, and so is gpus: expected at least a core to run on")
    if cluster.transfer == "ipc" and cluster.placement != "sharing":
        yield Fault(("cluster", "transfer"), "is ipc, which needs placement: sharing (both on the same GPU)")


def _stages(recipe: Recipe) -> Faults:
    for where, data in data_of(recipe):
        if where[0] == "stages":
            yield from _sources(where, data)
    for number, stage in enumerate(recipe.stages):
        path: KeyPath = ("stages", number)
        yield from _training(path, stage, recipe.cluster.learner)
        if isinstance(stage, RlStage):
            yield from _reinforcement(path, stage)
        yield from _kept(path, stage)


def _sources(path: KeyPath, data: DataConfig) -> Faults:
    for index, source in enumerate(data.sources):
        if isinstance(source, SyntheticSource) and not source.families:
            yield Fault((*path, "sources", index, "families"), "is an empty list, expected at least one family")


def _training(path: KeyPath, stage: Stage, learner: LearnerConfig) -> Faults:
    """Steps, warm-up and ranks of the two trainers."""
    if not isinstance(stage, SftStage | RlStage):
        return
    updates = stage.algorithm.updates_per_step if isinstance(stage, RlStage) else 1
    if stage.optimizer.warmup_steps > stage.steps * updates:
        message = f"is {stage.optimizer.warmup_steps}, but the stage has only {stage.steps * updates} optimiser steps"
        yield Fault((*path, "optimizer", "warmup_steps"), message)
    sequences, key = _sequences(stage)
    if sequences // updates < learner.ranks // learner.sequence_parallel:
        groups = f"groups of {learner.sequence_parallel} of " if learner.sequence_parallel > 1 else ""
        ranks = f"{groups}{learner.ranks} learner ranks"
        message = f"makes {sequences // updates} sequences an optimiser step, too few for {ranks}"
        yield Fault((*path, key), message)


def _sequences(stage: SftStage | RlStage) -> tuple[int, str]:
    """Sequences of one step, and the key that sets their number."""
    if isinstance(stage, SftStage):
        return stage.sequences_per_step, "sequences_per_step"
    return stage.prompts_per_step * stage.group_size, "prompts_per_step"


def _reinforcement(path: KeyPath, stage: RlStage) -> Faults:
    sequences, _ = _sequences(stage)
    updates = stage.algorithm.updates_per_step
    if sequences % updates:
        sum_ = f"{stage.prompts_per_step} prompts x {stage.group_size} samples = {sequences} sequences"
        message = f"is {updates}, but {sum_} a step cannot be cut into {updates} equal parts"
        yield Fault((*path, "algorithm", "updates_per_step"), message)
    if stage.sampling.temperature <= 0:
        message = "is 0: greedy answers of one prompt are all the same, and there is nothing to learn from them"
        yield Fault((*path, "sampling", "temperature"), message)
    if stage.sampling.top_p < 1:
        message = f"is {stage.sampling.top_p:g}, expected 1: the learner's probabilities are of the whole vocabulary"
        yield Fault((*path, "sampling", "top_p"), message)
    if stage.max_prompts_tried < 1:
        message = f"is {stage.max_prompts_tried:g}, expected at least 1: a step tries prompts_per_step prompts at least"
        yield Fault((*path, "max_prompts_tried"), message)
    yield from reward_contradictions((*path, "rewards"), stage.rewards, stage.sampling.max_tokens)


def _kept(path: KeyPath, stage: Stage) -> Faults:
    """Makers of data that could keep nothing."""
    if isinstance(stage, FilterStage) and stage.keep == "sometimes" and stage.samples == 1:
        yield Fault((*path, "samples"), "is 1: one sample is right always or never, and keep: sometimes drops both")
    if isinstance(stage, HarvestStage) and stage.last_steps == 0:
        yield Fault((*path, "last_steps"), "is 0: no rollouts would be taken, expected a share above 0")
    if isinstance(stage, HardCasesStage) and stage.max_pass_rate * stage.samples < 1 and not stage.keep_never_solved:
        most = f"{stage.max_pass_rate:g} of {stage.samples} samples is less than one"
        yield Fault((*path, "max_pass_rate"), f"keeps no case: {most}, and keep_never_solved is false")
