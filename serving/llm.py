"""vLLM's engine client, watched: every answer must come wholly from the snapshot that it is said to come from."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

from vllm import RequestOutput
from vllm.v1.engine.async_llm import AsyncLLM

from halyard.errors import EngineError
from serving.exchange import current


class WatchedLLM(AsyncLLM):
    """An engine client that knows which snapshot it holds, and when it last gave a token."""

    snapshot_id = ""
    """`RUN@VERSION` of the weights in the engine; requests are only sent while it stays the same."""
    last_token = 0.0
    """When any request was last given something, on the monotonic clock."""

    async def generate(self, *arguments: Any, **options: Any) -> AsyncGenerator[RequestOutput, None]:
        """The outputs of a request; its tokens are counted in the exchange that it belongs to.

        Raises:
            EngineError: it was cut off, or its tokens are not all from the snapshot that the engine held when
                it began.
        """
        expected = self.snapshot_id
        self.last_token = time.monotonic()
        exchange = current.get(None)
        counted = False
        async for output in super().generate(*arguments, **options):
            self.last_token = time.monotonic()
            if exchange is not None:
                exchange.tokens += sum(len(answer.token_ids) for answer in output.outputs)
                exchange.prompt_tokens += 0 if counted else len(output.prompt_token_ids or ())
                counted = True
            if output.finished:
                _check(output, expected)
            yield output

    @property
    def pids(self) -> list[int]:
        """The engine's own processes."""
        manager = getattr(self.engine_core.resources, "engine_manager", None)
        return [process.pid for process in getattr(manager, "processes", ())]


def _check(output: RequestOutput, expected: str) -> None:
    for answer in output.outputs:
        if answer.finish_reason not in (None, "stop", "length"):
            raise EngineError(f"the engine gave an answer up ({answer.finish_reason}) before it was finished")
        versions = {span.version for span in answer.weight_versions or ()}
        if versions - {expected}:
            raise EngineError(f"an answer of {expected} has tokens of {', '.join(sorted(map(str, versions)))}")
