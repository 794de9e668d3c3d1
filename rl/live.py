"""The engine as the loop sees it: it holds the newest published weights, and outlives a crash."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from halyard.errors import EngineError

if TYPE_CHECKING:
    from halyard.cluster.types import Completion, GenerationRequest, Transfer
    from rl.session import RlSession


class LiveEngine:
    """Generation and weight updates over an engine that may die and be started again.

    A restarted engine gets the newest published weights before it answers, and the requests that died
    with the old one are sent again with the same seeds. `learner_lock` is held by whoever makes the
    learner work: an update with its transfer, or the transfer that revives an engine.
    """

    def __init__(self, session: RlSession) -> None:
        self.version = -1  # nothing is published yet
        self.learner_lock = asyncio.Lock()
        self._session = session
        self._lives = 0

    async def generate(self, request: GenerationRequest) -> tuple[Completion, ...]:
        """One completion for each seed of the request.

        Raises:
            EngineError: the engine died more often than it may be started again.
        """
        while True:
            life = self._lives
            try:
                return await self._session.engine.generate(request)
            except EngineError as error:
                async with self.learner_lock:
                    if life == self._lives:  # the first of all requests that died revives the engine
                        await self._revive(error)

    async def publish(self, version: int) -> Transfer:
        """Bring the learner's weights to the engine as `version`; the caller holds `learner_lock`."""
        self.version = version
        try:
            return await self._session.learner.publish(self._session.engine, version)
        except EngineError as error:
            return await self._revive(error)

    async def _revive(self, error: EngineError) -> Transfer:
        self._session.event("engine_restart", version=self.version, reason=str(error))
        try:
            await self._session.restart_engine()
        except EngineError as refusal:
            raise EngineError(f"{error} {refusal}") from error
        transfer = await self._session.learner.publish(self._session.engine, self.version)
        self._lives += 1
        return transfer
