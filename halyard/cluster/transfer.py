"""How new weights travel from a learner to engines: which way, in which order, and what is checked."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from configs.cluster import ClusterConfig
from halyard.cluster.processes import SCRATCH_PREFIX, SHARED_MEMORY
from halyard.cluster.types import Transfer
from halyard.errors import EngineError

if TYPE_CHECKING:
    from halyard.cluster.engine import Engine

Way = Literal["shared_memory", "nccl", "ipc"]

BACKENDS: dict[Way, str] = {
    "shared_memory": "halyard_shared_memory",
    "nccl": "halyard_nccl",
    "ipc": "halyard_ipc",
}
"""Names under which vLLM knows our receiving engines."""


class Publisher(Protocol):
    """What a learner does for a transfer; all its ranks take part in each call."""

    async def write_weights(self, path: Path) -> tuple[int, int]:
        """Write all weights into one safetensors file, tensor by tensor; returns the tensors and their bytes."""
        ...

    async def send_weights(self, way: Way, engine: Engine) -> None:
        """Send all weights from GPU to GPU through vLLM's trainer side (`transfer_sender`)."""
        ...

    async def checksums(self) -> Mapping[str, str]:
        """SHA-256 of each tensor as it is sent, by name."""
        ...


def choose(config: ClusterConfig) -> Way:
    """The way weights take: as the recipe says, or by placement.

    On CPUs through shared memory; between GPUs by `ipc` where learner and engine share them, else `nccl`.
    """
    if config.transfer != "auto":
        return config.transfer
    if not config.engine.gpus:
        return "shared_memory"
    return "ipc" if config.placement == "sharing" else "nccl"


async def publish(learner: Publisher, engine: Engine, version: int, *, config: ClusterConfig) -> Transfer:
    """Give an engine the learner's weights as `version`; requests in flight wait and go on with them.

    Through shared memory the engine generates on while the file is written, and waits only while it reads.

    Raises:
        EngineError: the weights do not fit the engine's model, or (with `verify_weights`) what arrived is
            not what was sent. The engine is then stopped.
    """
    start = time.monotonic()
    way = choose(config)
    if way == "shared_memory":
        transfer = await _through_memory(learner, engine, version, verify=config.verify_weights)
    else:
        transfer = await _between_gpus(learner, engine, version, way, verify=config.verify_weights)
    tensors, size, pause = transfer

    async def again() -> Transfer:
        return await publish(learner, engine, engine.policy_version, config=config)

    engine.refresh = again
    return Transfer(version=version, tensors=tensors, bytes=size, seconds=time.monotonic() - start, pause_seconds=pause)


async def _through_memory(learner: Publisher, engine: Engine, version: int, *, verify: bool) -> tuple[int, int, float]:
    path = _shared_file(engine)
    try:
        sent, size = await learner.write_weights(path)
        async with engine.updating(version) as held:
            tensors = await engine.read_files([path], version)
            if tensors != sent:
                raise EngineError(f"the {engine.role} engine took {tensors} tensors of the {sent} that were sent")
            if verify:
                await _compare(learner, engine)
        return tensors, size, held()
    finally:
        path.unlink(missing_ok=True)


async def _between_gpus(
    learner: Publisher, engine: Engine, version: int, way: Way, *, verify: bool
) -> tuple[int, int, float]:
    async with engine.updating(version) as held:
        await learner.send_weights(way, engine)
        tensors, size = await engine.received(version)
        if verify:
            await _compare(learner, engine)
    return tensors, size, held()


async def _compare(learner: Publisher, engine: Engine) -> None:
    sent, arrived = await learner.checksums(), await engine.checksums()
    different = sorted(name for name in sent.keys() | arrived.keys() if sent.get(name) != arrived.get(name))
    if different:
        raise EngineError(
            f"after the transfer {len(different)} of {len(sent)} tensors differ between the learner and the "
            f"{engine.role} engine: {', '.join(different[:8])}. What arrived is not what was sent."
        )


def _shared_file(engine: Engine) -> Path:
    """A path in shared memory, or on disk where shared memory is too small for the policy."""
    needed = 1.1 * sum(file.stat().st_size for file in engine.copies[0].spec.path.glob("*.safetensors"))
    fits = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > needed
    folder = SHARED_MEMORY if fits else Path(tempfile.gettempdir())
    return folder / f"{SCRATCH_PREFIX}{os.getpid()}-{engine.role}.safetensors"
