"""The LoRA adapters that one engine holds beside its base, each asked for by the requests that name it."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

from configs.serving import ServingConfig
from halyard.errors import SnapshotError
from model.adapter import read_adapter
from serving.catalogue import Snapshot

if TYPE_CHECKING:
    from vllm.lora.request import LoRARequest

    from serving.llm import WatchedLLM


def options(config: ServingConfig, *, sees: bool) -> dict[str, Any]:
    """What vLLM is started with to take adapters: over the decoder, and where it `sees` over tower and connector."""
    return {
        "enable_lora": True,
        "max_loras": config.adapters,
        "max_cpu_loras": config.adapters,  # else vLLM drops one in use by itself, and reads it again unverified
        "max_lora_rank": config.adapter_rank,
        "enable_tower_connector_lora": sees,
    }


class Adapters:
    """The adapters that one vLLM holds; the one that was not used for longest makes room."""

    def __init__(self, llm: WatchedLLM, config: ServingConfig) -> None:
        self._llm = llm
        self._config = config
        self._numbers = itertools.count(1)
        self._held: dict[str, tuple[LoRARequest, float]] = {}

    @property
    def held(self) -> list[str]:
        """Names of the adapters, RUN@VERSION."""
        return list(self._held)

    @property
    def full(self) -> bool:
        """Whether the next one takes another's place."""
        return len(self._held) >= self._config.adapters

    def request(self, snapshot: Snapshot) -> LoRARequest:
        """What vLLM is to be told with each request for an adapter that is held."""
        lora, _ = self._held[snapshot.id]
        self._held[snapshot.id] = lora, time.monotonic()
        return lora

    async def add(self, snapshot: Snapshot) -> None:
        """Give the engine an adapter over the policy that it holds. While it is full, nothing may be in flight.

        Raises:
            SnapshotError: its rank is too large, or vLLM refuses it; what the engine held it still holds.
        """
        from vllm.lora.request import LoRARequest

        rank, most = read_adapter(snapshot.path).rank, self._config.adapter_rank
        if rank > most:
            raise SnapshotError(f"its rank is {rank}, and the service takes adapters up to adapter_rank: {most}")
        while self.full:
            await self._drop(min(self._held, key=lambda name: self._held[name][1]))
        lora = LoRARequest(snapshot.id, next(self._numbers), str(snapshot.path))
        try:
            await self._llm.add_lora(lora)
        except Exception as error:  # vLLM's are of several classes
            reason = " ".join(str(error.__cause__ or error).split())[:300]
            raise SnapshotError(f"the engine does not take the adapter {snapshot.path}: {reason}") from error
        self._held[snapshot.id] = lora, time.monotonic()

    async def clear(self) -> None:
        """Take all of them from the engine, before it takes another base; nothing may be in flight."""
        for name in self.held:
            await self._drop(name)

    async def _drop(self, name: str) -> None:
        lora, _ = self._held.pop(name)
        await self._llm.remove_lora(lora.lora_int_id)
