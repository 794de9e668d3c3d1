"""The sending side of weight transfers between GPUs: what a learner rank does.

Written against vLLM's trainer interface (vLLM 0.32); not run on GPUs yet (docs/verification.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import torch
from vllm.distributed.weight_transfer import WeightTransferTrainerFactory
from vllm.distributed.weight_transfer.base import (
    ParamMeta,
    TrainerWeightTransferEngine,
    WeightSource,
    WeightTransferInitRequest,
)
from vllm.distributed.weight_transfer.clients import RayVLLMWeightSyncClient
from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo
from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo

from halyard.cluster.transfer import Way

Layout = Sequence[tuple[str, torch.dtype, torch.Size]]
Stream = Callable[[], Iterator[tuple[str, torch.Tensor]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivers:
    """The engine actors that weights are sent to, each with `workers` vLLM workers."""

    actors: Sequence[Any]
    workers: int


def open_sender(
    way: Way, receivers: Receivers, *, rank: int, address: str, port: int, layout: Layout, stream: Stream
) -> TrainerWeightTransferEngine:
    """A sender whose `send_weights()` gives the engines all weights; every learner rank opens one and calls it.

    Only rank 0 talks to the engines; `address` and `port` are where it meets their workers. The others
    take part in gathering each tensor.
    """
    info = _nccl(receivers, rank, address, port) if way == "nccl" else IPCTrainerInitInfo(rank=rank, packed=True)
    return WeightTransferTrainerFactory.trainer_init(info, client=_Client(receivers), source=_Source(layout, stream))


def _nccl(receivers: Receivers, rank: int, address: str, port: int) -> NCCLTrainerInitInfo:
    world = 1 + len(receivers.actors) * receivers.workers
    return NCCLTrainerInitInfo(rank=rank, master_address=address, master_port=port, world_size=world)


class _Source(WeightSource):
    """The learner's weights as vLLM's senders ask for them: gathered one tensor at a time."""

    def __init__(self, layout: Layout, stream: Stream) -> None:
        self._layout = layout
        self._stream = stream

    def metadata(self) -> list[ParamMeta]:
        return [ParamMeta(name, dtype, tuple(shape)) for name, dtype, shape in self._layout]

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        return self._stream()


class _Client(RayVLLMWeightSyncClient):
    """vLLM's client for Ray actors, which knows that several engines have ranks one after the other."""

    def __init__(self, receivers: Receivers) -> None:
        super().__init__(list(receivers.actors))
        self._workers = receivers.workers

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        """Shake hands with all engines at once; with `nccl` each has its own range of ranks."""
        waits = []
        for index, actor in enumerate(self.handles):
            own = dict(init_info)
            if "rank_offset" in own:
                own["rank_offset"] += index * self._workers
            waits.append(actor.init_weight_transfer_engine.remote(WeightTransferInitRequest(init_info=own)))
        ray.get(waits)
