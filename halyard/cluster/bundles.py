"""The places of a plan, reserved in Ray: one placement group, one bundle a place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from halyard.cluster.origin import ROOT
from halyard.cluster.placement import Plan, threads
from halyard.cluster.processes import MARK
from halyard.cluster.waits import waiting

_SMALLEST = 0.01
"""Ray takes no empty bundle; this much of a core stands for a place that needs none."""


class Bundles:
    """Reserved places. Actors take none of a bundle's cores or GPUs in Ray's books: several may sit in one."""

    def __init__(self, plan: Plan, group: PlacementGroup) -> None:
        self._plan = plan
        self._group = group

    @classmethod
    async def reserve(cls, plan: Plan, *, seconds: float) -> Bundles:
        """Reserve all places of `plan` at once.

        Raises:
            DeadlineError: the cluster did not have them free in time.
        """
        shapes = [
            {"CPU": max(bundle.cpus, _SMALLEST)} | ({"GPU": bundle.gpus} if bundle.gpus else {})
            for bundle in plan.bundles
        ]
        group = placement_group(shapes, strategy="PACK")
        async with waiting("Ray to reserve cores and GPUs", seconds=seconds):
            await group.ready()
        return cls(plan, group)

    def options(self, bundle: int) -> dict[str, Any]:
        """Options of an actor that sits in a bundle."""
        return {
            "num_cpus": 0,
            "max_restarts": 0,
            "scheduling_strategy": PlacementGroupSchedulingStrategy(self._group, bundle),
            "runtime_env": {"env_vars": _inherited()},
        }

    async def environment(self, bundle: int, cpus: float) -> Mapping[str, str]:
        """Environment of a process in a bundle: its compute threads, and the GPUs it may see."""
        environment = {"OMP_NUM_THREADS": str(threads(cpus))}
        if gpus := self._plan.bundles[bundle].gpus:
            probe = _visible_gpus.options(num_gpus=gpus, **self.options(bundle) | {"max_restarts": None})
            environment["CUDA_VISIBLE_DEVICES"] = await probe.remote()
        return environment

    def release(self) -> None:
        """Give the places back to Ray."""
        remove_placement_group(self._group)


@ray.remote(num_cpus=0)
def _visible_gpus() -> str:
    return os.environ.get("CUDA_VISIBLE_DEVICES", "")


def _inherited() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    # Threads that wait by spinning steal the cores that engine, learner and driver share: with one other busy
    # process on two cores, a learner's step took five to ten times as long.
    return {"PYTHONPATH": path, MARK: os.environ[MARK], "OMP_WAIT_POLICY": "PASSIVE"}
