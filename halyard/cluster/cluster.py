"""The live processes of a run: Ray, engines and learners by role. They outlive the stages."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray

from configs.cluster import ClusterConfig
from configs.training import OptimizerConfig
from halyard.cluster import engine_options, placement, processes
from halyard.cluster.bundles import Bundles
from halyard.cluster.engine import Copy, Engine, ask
from halyard.cluster.engine_actor import EngineActor, EngineSpec
from halyard.cluster.learner import Learner
from halyard.cluster.origin import check_origin
from halyard.cluster.waits import waiting
from halyard.errors import EngineError, LearnerLostError

_CONCURRENT_CALLS = 4096
_OBJECT_STORE_BYTES = 2**30


class Cluster:
    """Engines and learners of one run. Started with `Cluster.start`; closes as a context manager."""

    def __init__(self, config: ClusterConfig, plan: placement.Plan, bundles: Bundles, *, logs: Path, scratch: Path):
        self.config = config
        self._plan = plan
        self._bundles = bundles
        self._logs = logs
        self._scratch = scratch
        self._engines: dict[str, Engine] = {}
        self._shapes: dict[str, Mapping[str, Any]] = {}
        self._learners: dict[str, Learner] = {}
        self._restarts = 0
        self._learner_restarts = 0

    @classmethod
    async def start(cls, config: ClusterConfig, *, logs: Path) -> Self:
        """Start Ray, or join the cluster at `config.address`, and reserve what the recipe asks for.

        Engines and learners start when they are first asked for. All output goes to files in `logs`.

        Raises:
            PlacementError: the machine or cluster has less than the recipe asks for; nothing was started.
        """
        plan = None if config.address else placement.plan(config, local_resources())
        check_origin()
        processes.sweep()
        processes.mark_environment()
        scratch = processes.make_scratch()
        try:
            _start_ray(config, scratch)
            plan = plan or placement.plan(config, _cluster_resources())
            bundles = await Bundles.reserve(plan, seconds=config.deadlines.start)
        except BaseException:
            _stop_ray(scratch, logs)
            raise
        return cls(config, plan, bundles, logs=logs, scratch=scratch)

    async def engine(self, role: str, path: Path, *, version: int = 0) -> Engine:
        """The engine of a role, with the policy in the folder `path`, as `version`.

        The first call starts it. Later calls change its weights; for another architecture it is started
        anew. A further role beside the policy's sits in the same places.
        """
        shape = engine_options.architecture(path)
        if role in self._engines and self._shapes[role] != shape:
            await self.release_engine(role)
        if role in self._engines:
            if not all([await self._engines[role].lives(copy) for copy in self._engines[role].copies]):
                await self.restart_engine(role)
            await self._engines[role].load_snapshot(path, version)
            return self._engines[role]
        names = [f"engine-{role}-{index}" for index in range(self.config.engine.count)]
        specs = [self._spec(name, path, version) for name in names]
        copies = await asyncio.gather(*(self._start_copy(index, spec) for index, spec in enumerate(specs)))
        engine = Engine(role, copies, self.config.deadlines)
        if self.config.verify_weights:
            await engine.record_checksums()
        self._engines[role], self._shapes[role] = engine, shape
        return engine

    async def learner(
        self, path: Path, optimizer: OptimizerConfig, *, steps: int, role: str = "policy", seed: int
    ) -> Learner:
        """The learner of a role, with the policy in the folder `path` and a fresh optimiser over `steps` steps.

        The first call starts its ranks; later calls set weights and optimiser anew.
        """
        if role in self._learners:
            await self._learners[role].reset(path, optimizer, steps=steps, seed=seed)
        else:
            self._learners[role] = await Learner.start(
                self.config,
                self._bundles,
                self._plan.ranks,
                path,
                optimizer,
                steps=steps,
                seed=seed,
                logs=self._logs,
                name=f"learner-{role}",
            )
        return self._learners[role]

    async def restart_engine(self, role: str) -> None:
        """Start the dead copies of a role's engine again, with the newest weights.

        What they were generating is lost: whoever awaited it got an EngineError.

        Raises:
            EngineError: engines have died more often than `engine_restarts` allows.
        """
        engine = self._engines[role]
        dead = [index for index, copy in enumerate(engine.copies) if not await engine.lives(copy)]
        self._restarts += 1
        if self._restarts > self.config.engine_restarts:
            raise EngineError(
                f"the {role} engine died, and cluster.engine_restarts allows {self.config.engine_restarts} "
                f"restarts in a run. Its log: {engine.copies[dead[0] if dead else 0].spec.log}"
            )
        for index in dead:
            ray.kill(engine.copies[index].actor)
            engine.copies[index] = await self._start_copy(index, engine.copies[index].spec)
        if dead and self.config.verify_weights:
            await engine.record_checksums()
        if dead and engine.refresh is not None:
            await engine.refresh()

    async def release_engine(self, role: str) -> None:
        """Stop the engine of a role, if there is one."""
        engine = self._engines.pop(role, None)
        if engine is not None:
            engine.kill()
            await asyncio.to_thread(processes.wait_gone, [pid for copy in engine.copies for pid in copy.pids])

    async def release_learner(self, role: str) -> None:
        """Stop the ranks of a role's learner, if there is one: their memory is for others."""
        learner = self._learners.pop(role, None)
        if learner is not None:
            await learner.end()

    async def give_up_learner(self, role: str, error: LearnerLostError) -> None:
        """Stop what is left of a role's learner, so that the next one asked for is new.

        Raises:
            LearnerLostError: learners were lost more often than `learner_restarts` allows.
        """
        self._learner_restarts += 1
        if self._learner_restarts > self.config.learner_restarts:
            raise LearnerLostError(
                f"cluster.learner_restarts allows {self.config.learner_restarts} new learners in a run, and they "
                f"are used up; --resume goes on from the newest checkpoint. {error}"
            ) from error
        await self.release_learner(role)
        if role in self._engines:
            self._engines[role].refresh = None  # the weights that it would ask for are gone

    async def close(self) -> None:
        """Stop everything that the run started."""
        for role in list(self._engines):
            await self.release_engine(role)
        for role in list(self._learners):
            await self.release_learner(role)
        if ray.is_initialized():
            self._bundles.release()
        await asyncio.to_thread(_stop_ray, self._scratch, self._logs)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _spec(self, name: str, path: Path, version: int) -> EngineSpec:
        return EngineSpec(
            name=name,
            path=path.resolve(),
            version=version,
            log=(self._logs / f"{name}.log").resolve(),
            arguments=engine_options.arguments(self.config),
            environment=engine_options.environment(self.config),
        )

    async def _start_copy(self, index: int, spec: EngineSpec) -> Copy:
        bundle = self._plan.engines[index]
        engine = self.config.engine
        environment = await self._bundles.environment(bundle, engine.cpus / engine.tensor_parallel)
        actor = (
            ray.remote(EngineActor)
            .options(max_concurrency=_CONCURRENT_CALLS, **self._bundles.options(bundle))
            .remote(spec, dict(environment))
        )
        async with waiting(f"{spec.name} to start", seconds=self.config.deadlines.start):
            pids = await ask(actor, spec, "start")
        return Copy(spec=spec, actor=actor, pids=pids)


def local_resources() -> placement.Resources:
    """Cores and GPUs of this machine."""
    return placement.Resources(cpus=placement.local_cores(), gpus=placement.local_gpus())


def _cluster_resources() -> placement.Resources:
    there = ray.cluster_resources()
    return placement.Resources(cpus=there.get("CPU", 0), gpus=there.get("GPU", 0))


def _start_ray(config: ClusterConfig, scratch: Path) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if config.address:
        ray.init(address=config.address, **quiet)
        return
    there = local_resources()
    ray.init(
        address="local",
        num_cpus=int(there.cpus),
        num_gpus=int(there.gpus),
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        _temp_dir=str(scratch),
        **quiet,
    )


def _stop_ray(scratch: Path, logs: Path) -> None:
    """End Ray and keep its own logs: its session folder had to have a short path, so it was elsewhere."""
    ray.shutdown()
    session = scratch / "session_latest" / "logs"
    if session.exists():
        shutil.copytree(session, logs / "ray", dirs_exist_ok=True)
    shutil.rmtree(scratch, ignore_errors=True)
