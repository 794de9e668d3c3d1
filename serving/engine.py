"""One serving engine: a vLLM that holds one policy at a time, and takes another without a restart.

Its `chat` and `completion` answer with what it holds. Who may ask, and when it takes another snapshot, is the
pool's business (`serving.pool`): between `load` and the next `load` all that it answers is from one version, or from
the adapters over it, each request from the one that it names.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.cluster import ClusterConfig
from configs.serving import ServingConfig
from halyard.cluster import engine_options, processes
from halyard.errors import EngineError, SnapshotError
from model.adapter import BASES
from model.load import architecture as check_architecture
from serving import adapters
from serving.catalogue import Snapshot

if TYPE_CHECKING:
    from serving.adapters import Adapters
    from serving.answers import Chat, Completion
    from serving.llm import WatchedLLM


@dataclass(frozen=True, slots=True)
class Frontend:
    """What answers requests over one running vLLM; `adapters` is there where it was started for them."""

    llm: WatchedLLM
    chat: Chat
    completion: Completion
    adapters: Adapters | None = None


class Engine:
    """A place for one vLLM. `snapshot` is the whole policy that it holds, None while it holds nothing whole."""

    def __init__(self, index: int, config: ServingConfig, executor: Executor, log_file: Path) -> None:
        """`executor` is where vLLM is built: its processes die with the thread that started them."""
        self.index = index
        self.name = f"engine-{index}"
        self.log_file = log_file
        self.snapshot: Snapshot | None = None
        self._config = config
        self._executor = executor
        self._frontend: Frontend | None = None
        self._shape: Any = None

    @property
    def frontend(self) -> Frontend:
        """What answers with the policy that the engine holds.

        Raises:
            EngineError: there is no vLLM now.
        """
        if self._frontend is None:
            raise EngineError(f"{self.name} is not running. Its log: {self.log_file}")
        return self._frontend

    def frontend_of(self, snapshot: Snapshot) -> Frontend:
        """What answers with a snapshot that the engine serves: its policy, or an adapter over it.

        Raises:
            EngineError: there is no vLLM now.
        """
        whole = self.frontend
        if snapshot.base is None or whole.adapters is None:
            return whole
        lora = whole.adapters.request(snapshot)
        return replace(whole, chat=whole.chat.over(snapshot, lora), completion=whole.completion.over(snapshot, lora))

    @property
    def adapters(self) -> list[str]:
        """Names of the adapters that it holds over its policy."""
        held = self._frontend.adapters if self._frontend else None
        return held.held if held else []

    def serves(self, snapshot: Snapshot) -> bool:
        """Whether it answers with this snapshot."""
        return self.snapshot == snapshot.weights and (snapshot.base is None or snapshot.id in self.adapters)

    def takes_beside(self, snapshot: Snapshot) -> bool:
        """Whether it takes this snapshot, an adapter, while it answers requests as before."""
        held = self._frontend.adapters if self._frontend else None
        room = held is not None and not held.full
        return room and snapshot.base is not None and snapshot.base == self.snapshot

    @property
    def alive(self) -> bool:
        """Whether its vLLM runs."""
        return self._frontend is not None and not self._frontend.llm.errored

    def silent_for(self) -> float:
        """Seconds since it last gave a token to anyone."""
        return time.monotonic() - self.frontend.llm.last_token

    async def take(self, snapshot: Snapshot) -> float:
        """Hold a snapshot from now on; returns the seconds it took. Unless it `takes_beside`, nothing may be in flight.

        Of the same architecture, only weights travel; otherwise vLLM is started anew, and so it is once for adapters.

        Raises:
            SnapshotError: it is no policy that can be served; what the engine held it still holds.
            EngineError: it failed; the engine holds nothing then.
        """
        start = time.monotonic()
        if snapshot.base is not None and self._config.engine.model_path != "native":
            raise SnapshotError("adapters are served by vLLM's own layers alone: set engine.model_path to native")
        adapts = snapshot.base is not None or snapshot.adapted
        if not (self.alive and self.snapshot == snapshot.weights and (self.frontend.adapters or not adapts)):
            await self._take_whole(snapshot.weights, adapts=adapts)
        if snapshot.base is not None and snapshot.id not in self.adapters:
            await self._adapt(snapshot)
        return time.monotonic() - start

    def kill(self) -> None:
        """End its processes at once; vLLM notices, and what is in flight gets an error."""
        for pid in self._frontend.llm.pids if self._frontend else ():
            processes.kill_tree(pid)

    async def stop(self) -> None:
        """End its vLLM, if there is one; nothing may be in flight, unless it is dead."""
        self.snapshot, frontend, self._frontend = None, self._frontend, None
        if frontend is None:
            return
        pids = frontend.llm.pids
        frontend.llm.shutdown(timeout=0)
        await asyncio.get_running_loop().run_in_executor(self._executor, _end, pids)

    async def _take_whole(self, snapshot: Snapshot, *, adapts: bool) -> None:
        """Hold a whole policy; where it `adapts`, by a vLLM that takes adapters over it."""
        shape = engine_options.architecture(snapshot.path)
        kind = check_architecture(snapshot.path)
        if not list(snapshot.path.glob("*.safetensors")):
            raise SnapshotError(f"{snapshot.path} has no *.safetensors: other formats can run code, and are not read")
        adapts = adapts and kind in BASES and self._config.engine.model_path == "native"
        if self.alive and shape == self._shape and (self.frontend.adapters or not adapts):
            await self._load(snapshot)
        else:
            await self.stop()
            await self._start(snapshot, adapters.options(self._config, sees=kind == "sail_vl2") if adapts else {})
            self._shape = shape
        self.snapshot = snapshot

    async def _adapt(self, snapshot: Snapshot) -> None:
        """Hold an adapter beside the policy that it goes over."""
        held = self.frontend.adapters
        if held is None:
            raise SnapshotError(f"no adapter is served over {snapshot.weights.path}, as its architecture takes none")
        try:
            await held.add(snapshot)
        except SnapshotError as error:
            if self.alive:
                raise
            raise EngineError(self._tell("could not take an adapter", error)) from error

    async def _load(self, snapshot: Snapshot) -> None:
        """Give the running vLLM other weights: those of the snapshot's files."""
        from vllm.distributed.weight_transfer.base import WeightTransferUpdateRequest

        llm, held = self.frontend.llm, self.frontend.adapters
        self.snapshot = None
        paths = [str(path) for path in sorted(snapshot.path.glob("*.safetensors"))]
        try:
            async with asyncio.timeout(self._config.start_seconds):
                if held is not None:
                    await held.clear()
                await llm.pause_generation(mode="keep", clear_cache=True)
                await llm.start_weight_update()
                await llm.update_weights(WeightTransferUpdateRequest(update_info={"paths": paths}))
                await llm.finish_weight_update()
                await llm.update_weight_version(snapshot.id)
                await llm.resume_generation()
        except Exception as error:
            await self.stop()
            raise EngineError(self._tell("could not take new weights", error)) from error
        self._name(snapshot)

    async def _start(self, snapshot: Snapshot, adapting: Mapping[str, Any]) -> None:
        config = self._config

        def build() -> Frontend:
            from serving.frontend import build_frontend

            return build_frontend(snapshot.path, config, self.index, adapting)

        try:
            async with asyncio.timeout(config.start_seconds):
                frontend = await asyncio.get_running_loop().run_in_executor(self._executor, build)
                self._frontend = frontend
                await frontend.llm.update_weight_version(snapshot.id)
        except Exception as error:
            await self.stop()
            raise EngineError(self._tell("could not start", error)) from error
        self._name(snapshot)
        _settle_heap()

    def _name(self, snapshot: Snapshot) -> None:
        frontend = self.frontend
        frontend.llm.snapshot_id = snapshot.id
        for serving in (frontend.chat, frontend.completion):
            serving.call(snapshot)

    def _tell(self, what: str, error: Exception) -> str:
        cause = error.__cause__ or error
        return f"{self.name} {what}: {type(cause).__name__}: {cause}. Its log: {self.log_file}"


def set_environment(config: ServingConfig) -> None:
    """Nothing; vLLM, imported after this, finds the environment that its engines need."""
    os.environ.update(engine_options.environment(cluster_config(config)))
    os.environ["OMP_NUM_THREADS"] = str(max(1, int(config.engine.cpus)))
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ[processes.OWNER] = str(os.getpid())
    processes.mark_environment()


def cluster_config(config: ServingConfig) -> ClusterConfig:
    """The engines' part of a run's settings: weights come from files, whatever computes."""
    return ClusterConfig(engine=config.engine, transfer="shared_memory")


def longest(path: Path) -> int:
    """Positions that the policy in a folder was made for."""
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    return config.get("text_config", config).get("max_position_embeddings", 2**31)


def _settle_heap() -> None:
    """Nothing; what is in memory now is left out of garbage collections: going through it takes tenths of seconds."""
    gc.unfreeze()  # an engine that ended is among what was left out before
    gc.collect()
    gc.freeze()


def _end(pids: list[int]) -> None:
    for pid in pids:
        processes.kill_tree(pid)
    processes.wait_gone(pids, seconds=5)
