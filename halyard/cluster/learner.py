"""The driver's hold on a learner: one policy under training, over one or more ranks."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from configs.cluster import ClusterConfig
from configs.training import OptimizerConfig
from halyard.cluster import checkpoint_files, processes, transfer
from halyard.cluster.batch import check
from halyard.cluster.division import Division, divide
from halyard.cluster.learner_rank import LearnerRank
from halyard.cluster.rank_types import Packs, RankSpec, RankUpdate, Task
from halyard.cluster.types import LossFunction, TrainSequence, Transfer, Update
from halyard.cluster.waits import waiting
from halyard.errors import HalyardError, LearnerError, LearnerLostError

if TYPE_CHECKING:
    from halyard.cluster.bundles import Bundles
    from halyard.cluster.engine import Engine


class Learner:
    """Trains a policy. Made by `Cluster.learner`; `version` counts the optimiser steps taken."""

    def __init__(self, config: ClusterConfig, specs: Sequence[RankSpec], actors: Sequence[Any], name: str) -> None:
        self.name = name
        self.version = 0
        self._config = config
        self._specs = specs
        self._actors = actors
        self._pids: Sequence[int] = ()
        self._rate = 0.0

    @classmethod
    async def start(
        cls,
        config: ClusterConfig,
        bundles: Bundles,
        places: Sequence[int],
        path: Path,
        optimizer: OptimizerConfig,
        *,
        steps: int,
        seed: int,
        logs: Path,
        name: str,
    ) -> Learner:
        """Start one rank in each of the bundles `places`, on the policy in the folder `path`.

        Raises:
            ConfigError: `optimizer.freeze` names no part of the policy.
            SnapshotError: the folder holds no policy.
            LearnerError: a rank could not start; its log is named.
        """
        specs = [_spec(config, rank, logs=logs, name=name) for rank in range(len(places))]
        environments = [await bundles.environment(place, config.learner.cpus) for place in places]
        actors = [
            ray.remote(LearnerRank).options(**bundles.options(place)).remote(spec, dict(environment))
            for place, spec, environment in zip(places, specs, environments, strict=True)
        ]
        learner = cls(config, specs, actors, name)
        try:
            async with waiting(f"{name} to start", seconds=config.deadlines.start):
                host, port = await learner._ask(0, "open_store")
                learner._pids = await learner._everyone("connect", host, port)
            await learner.reset(path, optimizer, steps=steps, seed=seed)
        except BaseException:
            learner.kill()
            raise
        return learner

    async def reset(self, path: Path, optimizer: OptimizerConfig, *, steps: int, seed: int) -> None:
        """Take up the policy in the folder `path` with a fresh optimiser over `steps` steps; processes stay.

        Raises:
            ConfigError: `optimizer.freeze` names no part of the policy.
            SnapshotError: the folder holds no policy.
        """
        task = Task(path=path.resolve(), optimizer=optimizer, steps=steps, seed=seed)
        await self._together("load", task, seconds=self._config.deadlines.start)
        self.version, self._rate = 0, optimizer.learning_rate

    async def set_learning_rate(self, peak: float) -> None:
        """Have the next steps go by another peak of the learning rate; schedule and shares of parts stay."""
        if peak != self._rate:
            await self._together("set_learning_rate", peak, seconds=self._config.deadlines.update)
            self._rate = peak

    async def update(
        self, sequences: Sequence[TrainSequence], loss: LossFunction, *, temperature: float = 1.0
    ) -> Update:
        """Take one optimiser step on all `sequences`, at log-probs of logits / `temperature`.

        Raises:
            LearnerError: a loss or the gradient is not finite, the loss function failed (no weight has
                then changed on any rank), or a rank died.
        """
        started = time.perf_counter()
        division, packs = self._divide(sequences)
        packing = time.perf_counter() - started
        parts: list[RankUpdate] = await self._each(
            "update", [(own, loss, temperature) for own in packs], seconds=self._config.deadlines.update
        )
        self.version += 1
        seconds = {phase: max(part.seconds[phase] for part in parts) for phase in parts[0].seconds}
        return Update(
            version=self.version,
            loss=sum(part.loss for part in parts),
            grad_norm=parts[0].grad_norm,
            learning_rate=parts[0].learning_rate,
            tokens=sum(len(sequence.token_ids) for sequence in sequences),
            loss_tokens=sum(int(sequence.loss_mask.sum()) for sequence in sequences),
            sequences=len(sequences),
            packs=sum(map(len, division)),
            metrics=_sum(part.metrics for part in parts),
            seconds=seconds | {"pack": seconds["pack"] + packing},
        )

    async def evaluate(self, sequences: Sequence[TrainSequence], loss: LossFunction) -> Mapping[str, float]:
        """Sums over all sequences of the loss ("loss") and its metrics; no step is taken."""
        _, packs = self._divide(sequences)
        seconds = self._config.deadlines.update
        return _sum(await self._each("evaluate", [(own, loss) for own in packs], seconds=seconds))

    async def logprobs(self, sequences: Sequence[TrainSequence], *, temperature: float = 1.0) -> list[np.ndarray]:
        """Log-probs [tokens] of every token of each sequence, in nats, float32, 0 for the first."""
        return await self._logprobs(sequences, temperature, of_reference=False)

    async def freeze_reference(self) -> None:
        """Keep a frozen copy of the policy as it is now; it stays until the next `reset`."""
        await self._together("freeze_reference", seconds=self._config.deadlines.start)

    async def reference_logprobs(
        self, sequences: Sequence[TrainSequence], *, temperature: float = 1.0
    ) -> list[np.ndarray]:
        """Like `logprobs`, of the frozen copy.

        Raises:
            LearnerError: there is none.
        """
        return await self._logprobs(sequences, temperature, of_reference=True)

    async def publish(self, engine: Engine, version: int) -> Transfer:
        """Give the engine the policy as it is now, as `version`.

        Raises:
            EngineError: the engine refused the weights or, with `verify_weights`, holds others than were sent.
        """
        return await transfer.publish(self, engine, version, config=self._config)

    async def write_weights(self, path: Path) -> tuple[int, int]:
        """Write all weights into one safetensors file, tensor by tensor; returns the tensors and their bytes."""
        return (await self._together("write_weights", path, seconds=self._config.deadlines.transfer))[0]

    async def send_weights(self, way: transfer.Way, engine: Engine) -> None:
        """Send all weights from GPU to GPU, tensor by tensor."""
        actors = [copy.actor for copy in engine.copies]
        workers = self._config.engine.tensor_parallel
        host, port = await self._ask(0, "free_port")
        await self._together("send_weights", way, actors, workers, host, port, seconds=self._config.deadlines.transfer)

    async def checksums(self) -> Mapping[str, str]:
        """SHA-256 of each tensor, by its name in a Hugging Face checkpoint."""
        return (await self._together("checksums", seconds=self._config.deadlines.transfer))[0]

    async def gradient_report(self) -> Mapping[str, float]:
        """Norm of each trainable tensor's gradient in the last step, before clipping; 0 where it had none."""
        return (await self._together("gradient_report", seconds=self._config.deadlines.update))[0]

    async def save_snapshot(self, path: Path) -> None:
        """Write a servable model folder in Hugging Face format; it has reached the disk on return."""
        await self._together("save_snapshot", path.resolve(), seconds=self._config.deadlines.update)

    async def save_checkpoint(self, path: Path) -> None:
        """Write into the folder `path` what `load_checkpoint` needs; it has reached the disk on return."""
        await self._together("save_checkpoint", path.resolve(), seconds=self._config.deadlines.update)

    async def load_checkpoint(self, path: Path) -> None:
        """Go on exactly where `save_checkpoint` was called; a frozen reference stays.

        The learner must have the same policy folder, optimiser, steps and seed as the one that wrote it.

        Raises:
            SnapshotError: a file is missing or damaged, or the checkpoint is of another policy.
        """
        folder = path.resolve()
        await asyncio.to_thread(checkpoint_files.verify, folder)
        self.version = (await self._together("load_checkpoint", folder, seconds=self._config.deadlines.update))[0]

    def kill(self) -> None:
        """Stop all ranks at once."""
        for actor in self._actors:
            ray.kill(actor)

    async def end(self) -> None:
        """Stop all ranks; on return those on this machine have left their memory and their port to others."""
        self.kill()
        await asyncio.to_thread(processes.wait_gone, self._pids)

    async def _logprobs(
        self, sequences: Sequence[TrainSequence], temperature: float, *, of_reference: bool
    ) -> list[np.ndarray]:
        division, packs = self._divide(sequences)
        found = await self._each(
            "logprobs", [(own, temperature, of_reference) for own in packs], seconds=self._config.deadlines.update
        )
        by_index: dict[int, np.ndarray] = {}
        of_groups = found[:: self._config.learner.sequence_parallel]  # the ranks of a group all know the same
        for ranks_indices, ranks_logprobs in zip(division, of_groups, strict=True):
            for indices, logprobs in zip(ranks_indices, ranks_logprobs, strict=True):
                by_index.update(zip(indices, logprobs, strict=True))
        return [by_index[index] for index in range(len(sequences))]

    def _divide(self, sequences: Sequence[TrainSequence]) -> tuple[Division, list[Packs]]:
        check(sequences)
        settings = self._config.learner
        shared_by = settings.sequence_parallel
        division = divide(sequences, ranks=settings.ranks // shared_by, tokens_per_pack=settings.tokens_per_pack)
        packs = [[[sequences[index] for index in pack] for pack in packs] for packs in division]
        return division, [own for own in packs for _ in range(shared_by)]

    async def _together(self, method: str, *arguments: Any, seconds: float) -> list[Any]:
        return await self._each(method, [arguments] * len(self._actors), seconds=seconds)

    async def _each(self, method: str, arguments: Sequence[Sequence[Any]], *, seconds: float) -> list[Any]:
        async with waiting(f"{self.name} {method}", seconds=seconds):
            return await asyncio.gather(*(self._ask(rank, method, *own) for rank, own in enumerate(arguments)))

    async def _everyone(self, method: str, *arguments: Any) -> list[Any]:
        return await asyncio.gather(*(self._ask(rank, method, *arguments) for rank in range(len(self._actors))))

    async def _ask(self, rank: int, method: str, *arguments: Any) -> Any:
        """What a rank answers. Once one failed, all are stopped: the others would wait for it for ever.

        Where there are several, a fault in one may be no more than what it noticed of another's death.

        Raises:
            HalyardError: what all ranks refused alike.
            LearnerError: the only rank failed.
            LearnerLostError: the rank died, or one of several failed.
        """
        spec = self._specs[rank]
        try:
            return await getattr(self._actors[rank], method).remote(*arguments)
        except RayTaskError as error:
            if isinstance(error.cause, HalyardError):
                raise type(error.cause)(str(error.cause)) from None
            self.kill()
            kind = LearnerLostError if len(self._actors) > 1 else LearnerError
            raise kind(f"{spec.name} failed: {error.cause!r}. Its log: {spec.log}") from error
        except RayActorError:
            self.kill()
            raise LearnerLostError(f"{spec.name} died: its process is gone. Its log: {spec.log}") from None
        except RayError as error:
            self.kill()
            raise LearnerLostError(f"{spec.name} was lost: {processes.why_lost(error)}. Its log: {spec.log}") from None


def _spec(config: ClusterConfig, rank: int, *, logs: Path, name: str) -> RankSpec:
    own = f"{name}-{rank}"
    return RankSpec(
        name=own,
        rank=rank,
        ranks=config.learner.ranks,
        log=(logs / f"{own}.log").resolve(),
        learner=config.learner,
        patience=max(config.deadlines.start, config.deadlines.update),
    )


def _sum(parts: Any) -> dict[str, float]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)
