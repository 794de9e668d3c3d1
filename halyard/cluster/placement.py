"""Who sits where: arithmetic on cores and GPUs, checked before anything starts.

    side_by_side   engine 0 | engine 1 | rank 0 | rank 1      each has cores or GPUs of its own
    sharing        engine 0 + rank 0   | engine 1 + rank 1    a pair takes turns on the same

Every place is one bundle of a Ray placement group. The engines of further roles (a judge) sit in the
bundles of the policy's engines.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from configs.cluster import ClusterConfig, EngineConfig, LearnerConfig
from halyard.errors import PlacementError


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Processor cores and GPUs, of a machine or of one place on it."""

    cpus: float
    gpus: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The bundles of the placement group, and which of them each engine and each rank sits in."""

    bundles: tuple[Resources, ...]
    engines: tuple[int, ...]
    ranks: tuple[int, ...]


def plan(config: ClusterConfig, machine: Resources) -> Plan:
    """The places of all engines and ranks on `machine`.

    Raises:
        PlacementError: there are fewer cores or GPUs than asked for (with the sum), or a share of GPUs
            that no process can be given.
    """
    _check_gpus(config)
    engine = Resources(cpus=config.engine.cpus, gpus=config.engine.gpus)
    rank = Resources(cpus=config.learner.cpus, gpus=config.learner.gpus)
    made = _share(config, engine, rank) if config.placement == "sharing" else _apart(config, engine, rank)
    for unit in ("cpus", "gpus"):
        asked = math.fsum(getattr(bundle, unit) for bundle in made.bundles)
        if asked > getattr(machine, unit) + 1e-9:
            raise PlacementError(_refusal(config, unit, asked, getattr(machine, unit)))
    return made


def threads(cpus: float) -> int:
    """Compute threads of a process that is given `cpus` cores: at least one."""
    return max(1, math.floor(cpus))


def local_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def local_gpus() -> int:
    """GPUs that this process may use (NVIDIA; none is opened to find out)."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    return sum(1 for device in Path("/dev").glob("nvidia*") if device.name.removeprefix("nvidia").isdigit())


def _apart(config: ClusterConfig, engine: Resources, rank: Resources) -> Plan:
    engines, ranks = config.engine.count, config.learner.ranks
    return Plan(
        bundles=(engine,) * engines + (rank,) * ranks,
        engines=tuple(range(engines)),
        ranks=tuple(range(engines, engines + ranks)),
    )


def _share(config: ClusterConfig, engine: Resources, rank: Resources) -> Plan:
    engines, ranks = config.engine.count, config.learner.ranks
    both = Resources(cpus=max(engine.cpus, rank.cpus), gpus=max(engine.gpus, rank.gpus))
    pairs = min(engines, ranks)
    alone = engine if engines > ranks else rank
    bundles = (both,) * pairs + (alone,) * (max(engines, ranks) - pairs)
    return Plan(bundles=bundles, engines=tuple(range(engines)), ranks=tuple(range(ranks)))


def _check_gpus(config: ClusterConfig) -> None:
    engine, learner = config.engine, config.learner
    if (engine.gpus > 0) != (learner.gpus > 0):
        raise PlacementError(
            f"cluster.engine.gpus is {engine.gpus:g} and cluster.learner.gpus is {learner.gpus:g}: weights travel "
            "between GPUs or between CPUs, so give both GPUs or neither."
        )
    if engine.gpus and max(engine.gpus, 1) != engine.tensor_parallel:
        raise PlacementError(
            f"cluster.engine.tensor_parallel is {engine.tensor_parallel} but cluster.engine.gpus is "
            f"{engine.gpus:g}: one engine needs exactly as many GPUs as it spreads the policy over."
        )
    if not engine.gpus and engine.tensor_parallel > max(engine.cpus, 1):
        raise PlacementError(
            f"cluster.engine.tensor_parallel is {engine.tensor_parallel} but cluster.engine.cpus is "
            f"{engine.cpus:g}: each process that an engine spreads the policy over needs a core of its own."
        )
    if learner.gpus > 1:
        raise PlacementError(
            f"cluster.learner.gpus is {learner.gpus:g}: a rank drives one GPU. Ask for more ranks instead "
            f"(cluster.learner.ranks, now {learner.ranks})."
        )


def _refusal(config: ClusterConfig, unit: str, asked: float, there: float) -> str:
    noun = "cores" if unit == "cpus" else "GPUs"
    engines = _term(config.engine, config.engine.count, "engine", unit)
    ranks = _term(config.learner, config.learner.ranks, "learner rank", unit)
    if config.placement == "sharing":
        return (
            f"engines and learner sharing {noun} need {asked:g} ({engines}; {ranks}; the larger of the two in each "
            f"place), but there are {there:g}. Lower cluster.engine or cluster.learner."
        )
    return (
        f"{engines} + {ranks} = {asked:g} {noun} side by side, but there are {there:g}. Lower them, or let them take "
        "turns on the same: cluster.placement=sharing."
    )


def _term(config: EngineConfig | LearnerConfig, count: int, noun: str, unit: str) -> str:
    name = "cores" if unit == "cpus" else "GPUs"
    return f"{count} {noun}{'s' * (count > 1)} × {getattr(config, unit):g} {name}"
