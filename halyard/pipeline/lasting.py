"""An engine that outlives its crash while a fixed policy is sampled from: for evaluations and curation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halyard.errors import EngineError

if TYPE_CHECKING:
    from halyard.cluster.cluster import Cluster
    from halyard.cluster.engine import Engine
    from halyard.cluster.types import Completion, GenerationRequest


class LastingEngine:
    """The policy engine with the weights of one folder; what died with it is asked again with the same seeds."""

    def __init__(self, cluster: Cluster, engine: Engine, path: Path, event: Callable[..., Any]) -> None:
        self._cluster = cluster
        self._engine = engine
        self._path = path
        self._event = event
        self._lock = asyncio.Lock()
        self._lives = 0

    @classmethod
    async def start(cls, cluster: Cluster, path: Path, event: Callable[..., Any]) -> LastingEngine:
        """The engine, holding the policy at `path`."""
        return cls(cluster, await cluster.engine("policy", path), path, event)

    async def generate(self, request: GenerationRequest) -> tuple[Completion, ...]:
        """One completion for each seed of the request.

        Raises:
            EngineError: the engine died more often than it may be started again.
        """
        while True:
            life = self._lives
            try:
                return await self._engine.generate(request)
            except EngineError as error:
                async with self._lock:
                    if life == self._lives:  # the first of all requests that died revives the engine
                        await self._revive(error)

    async def _revive(self, error: EngineError) -> None:
        self._event("engine_restart", reason=str(error))
        try:
            await self._cluster.restart_engine("policy")
        except EngineError as refusal:
            raise EngineError(f"{error} {refusal}") from error
        self._engine = await self._cluster.engine("policy", self._path)
        self._lives += 1
