"""The engine as the loop sees it: it holds the newest published weights, and outlives a crash."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from halyard.errors import EngineError
from rl.sequences import sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

    from halyard.cluster.types import Completion, GenerationRequest, Transfer
    from rl.session import RlSession
    from rl.types import Scored


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

    async def drift(self, scored: Scored) -> float:
        """How far engine and learner are apart under the weights just published; the caller holds `learner_lock`.

        Mean |difference| in nats of their log-probs of one answer. Of answers that were sampled under
        older weights, the loss's own `drift` cannot tell the age of the weights from a fault.
        """
        rollout = scored.group.rollouts[0]
        one = sequence(rollout, advantage=0.0, share=0.0, rendered=scored.rendered)
        by_engine, (by_learner,) = await asyncio.gather(
            self._score(rollout.prompt_token_ids + rollout.response_token_ids, scored.rendered.images),
            self._session.learner.logprobs([one]),
        )
        return float(np.abs(by_learner - np.asarray(by_engine))[one.loss_mask].mean())

    async def _score(self, tokens: Sequence[int], images: Sequence[Image]) -> list[float]:
        try:
            return await self._session.engine.score(tokens, images)
        except EngineError as error:
            await self._revive(error)
            return await self._session.engine.score(tokens, images)

    async def _revive(self, error: EngineError) -> Transfer:
        self._session.event("engine_restart", version=self.version, reason=str(error))
        try:
            await self._session.restart_engine()
        except EngineError as refusal:
            raise EngineError(f"{error} {refusal}") from error
        transfer = await self._session.learner.publish(self._session.engine, self.version)
        self._lives += 1
        return transfer
