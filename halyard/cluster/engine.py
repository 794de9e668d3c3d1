"""The driver's hold on an engine: one or more copies of a policy, each in a Ray actor of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from configs.cluster import Deadlines
from halyard.cluster.engine_actor import EngineSpec
from halyard.cluster.processes import why_lost
from halyard.cluster.types import Completion, EngineStats, GenerationRequest
from halyard.cluster.waits import waiting
from halyard.errors import EngineError, HalyardError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(slots=True, kw_only=True)
class Copy:
    """One actor with the policy; `load` counts the tokens it has been asked for and not yet given.

    `killed` says that we killed it: an actor may still answer for a moment after that.
    """

    spec: EngineSpec
    actor: Any
    pids: Sequence[int]
    load: int = 0
    killed: bool = False


class Engine:
    """Generates with the newest policy that was given to it. Made by `Cluster.engine`."""

    def __init__(self, role: str, copies: Sequence[Copy], deadlines: Deadlines) -> None:
        self.role = role
        self.copies = list(copies)
        self.policy_version = copies[0].spec.version
        self.refresh: Callable[[], Awaitable[object]] | None = None
        """Sends the newest weights again; set by whoever sent them last, for a copy that is started anew."""
        self._deadlines = deadlines

    async def generate(self, request: GenerationRequest) -> tuple[Completion, ...]:
        """One answer for each of the request's seeds, in their order, from the copy with the least to do.

        Raises:
            EngineError: the engine died, or broke its contract; its log is named.
            DeadlineError: the answers took longer than `deadlines.generate`.
        """
        copy = min(self.copies, key=lambda copy: copy.load)
        tokens = len(request.seeds) * request.max_tokens
        copy.load += tokens
        try:
            return await self._ask(copy, "generate", request, seconds=self._deadlines.generate, prompt=request.id)
        finally:
            copy.load -= tokens

    async def score(self, token_ids: Sequence[int], images: Sequence[Image] = ()) -> list[float]:
        """The engine's log-probs of given tokens, in nats, each predicted from those before it; 0 for the first."""
        return await self._ask(
            self.copies[0], "score", tuple(token_ids), tuple(images), seconds=self._deadlines.generate
        )

    async def stats(self) -> EngineStats:
        """What the copies have done and are doing, in sum."""
        each = await self._everyone("stats")
        return EngineStats(
            tokens=sum(stats.tokens for stats in each),
            running=sum(stats.running for stats in each),
            waiting=sum(stats.waiting for stats in each),
        )

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Hold all requests for the block, those in flight and those that come; none is lost.

        Caches of keys and values, of images and of their encodings are dropped, and requests in flight
        go on from their tokens so far. Requests sent within one pause start together, in the order sent, so
        that with nothing else in flight their log-probs are the same to the last bit each time.
        """
        await self._everyone("pause")
        try:
            yield
        finally:
            await self._everyone("resume")

    async def load_snapshot(self, path: Path, version: int) -> None:
        """Take the weights of a model folder of the same architecture; tokens now carry `version`.

        Raises:
            EngineError: the weights do not fit the model. The engine is then stopped, since nothing may
                be sampled from half a policy.
        """
        await self.load_files(sorted(path.glob("*.safetensors")), version)
        self.refresh = None
        for copy in self.copies:
            copy.spec = replace(copy.spec, path=path.resolve(), version=version)

    async def load_files(self, paths: Sequence[Path], version: int) -> tuple[int, float]:
        """Take the weights in safetensors files; returns their tensors, and the seconds that requests were held."""
        async with self.updating(version) as held:
            tensors = await self.read_files(paths, version)
        return tensors, held()

    @asynccontextmanager
    async def updating(self, version: int) -> AsyncIterator[Callable[[], float]]:
        """Hold all requests while the block gives every copy new weights, then go on as `version`.

        Yields a function that tells the seconds of the pause so far.
        """
        start = time.monotonic()
        end: list[float] = []
        await self._everyone("pause")
        try:
            yield lambda: (end[0] if end else time.monotonic()) - start
        except BaseException:
            self.kill()
            raise
        await self._everyone("resume")
        end.append(time.monotonic())
        self.policy_version = version

    async def read_files(self, paths: Sequence[Path], version: int) -> int:
        """Read the weights in safetensors files, within `updating`; returns how many tensors there were."""
        return (await self._everyone("load_files", [str(path) for path in paths], version))[0]

    async def received(self, version: int) -> tuple[int, int]:
        """End an update that came from GPUs, within `updating`; returns its tensors and bytes."""
        await self._everyone("update_weight_version", str(version))
        tensors, size, _ = (await self._everyone("received"))[0]
        return tensors, size

    async def record_checksums(self) -> None:
        """Take checksums of the tensors of all later updates."""
        await self._everyone("record_checksums", True)

    async def checksums(self) -> Mapping[str, str]:
        """SHA-256 of each tensor that the last update brought, by name, where `cluster.verify_weights` is set.

        Raises:
            EngineError: the copies received different weights.
        """
        first, *others = [checksums for *_, checksums in await self._everyone("received")]
        if any(other != first for other in others):
            raise EngineError(f"the copies of the {self.role} engine hold different weights after one update")
        return first

    async def lives(self, copy: Copy) -> bool:
        """Whether a copy still answers."""
        if copy.killed:
            return False
        try:
            await self._ask(copy, "health", seconds=10)
        except HalyardError:
            return False
        return True

    def kill(self) -> None:
        """Stop all copies at once; what waits for them is told that they died."""
        for copy in self.copies:
            copy.killed = True
            ray.kill(copy.actor)

    async def _everyone(self, method: str, *arguments: Any) -> list[Any]:
        seconds = self._deadlines.transfer
        return await asyncio.gather(*(self._ask(copy, method, *arguments, seconds=seconds) for copy in self.copies))

    async def _ask(self, copy: Copy, method: str, *arguments: Any, seconds: float, prompt: str | None = None) -> Any:
        async with waiting(f"{copy.spec.name} {method}", seconds=seconds, prompt=prompt):
            return await ask(copy.actor, copy.spec, method, *arguments)


async def ask(actor: Any, spec: EngineSpec, method: str, *arguments: Any) -> Any:
    """What an engine actor answers; cancelling the wait cancels the work.

    Raises:
        EngineError: the actor refused, failed or died.
    """
    answer = getattr(actor, method).remote(*arguments)
    try:
        return await answer
    except asyncio.CancelledError:
        ray.cancel(answer)
        raise
    except RayTaskError as error:
        if isinstance(error.cause, HalyardError):
            raise type(error.cause)(str(error.cause)) from None
        raise EngineError(f"{spec.name} failed: {error.cause!r}. Its log: {spec.log}") from error
    except RayActorError:
        raise EngineError(f"{spec.name} died: its process is gone. Its log: {spec.log}") from None
    except RayError as error:
        raise EngineError(f"{spec.name} was lost: {why_lost(error)}. Its log: {spec.log}") from None
