"""One rank of the learner: a Ray actor around a `Trainer`."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halyard.cluster import placement, processes
from halyard.cluster.origin import check_origin
from halyard.cluster.rank_types import Packs, RankSpec, RankUpdate, Task
from halyard.cluster.types import LossFunction

if TYPE_CHECKING:
    import numpy as np
    from torch._C._distributed_c10d import TCPStore

    from halyard.cluster.trainer import Trainer
    from halyard.cluster.transfer import Way

_THIS_MACHINE = "127.0.0.1"


class LearnerRank:
    """The process of one rank. All but `open_store` must be called on all ranks at once."""

    def __init__(self, spec: RankSpec, environment: Mapping[str, str]) -> None:
        processes.send_output_to(spec.log)
        accelerator = "cuda" if spec.learner.gpus else "cpu"
        os.environ.update({**environment, "DS_ACCELERATOR": accelerator, "LOCAL_RANK": "0"})
        os.environ.update({"RANK": str(spec.rank), "WORLD_SIZE": str(spec.ranks)})
        self._spec = spec
        self._store: TCPStore | None = None
        self._trainer: Trainer | None = None
        self._sender: Any = None
        self._receivers: Sequence[Any] = ()

    def open_store(self) -> tuple[str, int]:
        """Open the place where the ranks meet, on the first of them; returns its host and port."""
        import ray
        from torch._C._distributed_c10d import TCPStore

        host = ray.util.get_node_ip_address() if self._spec.ranks > 1 else _THIS_MACHINE
        self._store = TCPStore(
            host, self._spec.learner.port or 0, self._spec.ranks, is_master=True, wait_for_workers=False
        )
        return host, self._store.port

    def connect(self, host: str, port: int) -> int:
        """Meet the other ranks; returns this process's id.

        Raises:
            ConfigError: one of our packages would be imported from elsewhere.
        """
        check_origin()
        import torch
        from torch import distributed
        from torch._C._distributed_c10d import TCPStore

        torch.set_num_threads(placement.threads(self._spec.learner.cpus))
        os.environ.update({"MASTER_ADDR": host, "MASTER_PORT": str(port)})
        patience = timedelta(seconds=self._spec.patience)
        rank, ranks = self._spec.rank, self._spec.ranks
        store = self._store or TCPStore(host, port, ranks, is_master=False, timeout=patience)
        backend = "nccl" if self._spec.learner.gpus else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=ranks, timeout=patience)
        _init_deepspeed(backend)
        return os.getpid()

    def load(self, task: Task) -> None:
        """Take up a task; what was trained before is gone."""
        from halyard.cluster.trainer import Trainer

        self._trainer = None
        self._trainer = Trainer(self._spec.learner, task)

    def set_learning_rate(self, peak: float) -> None:
        """Have the next steps go by another peak."""
        self._live.set_learning_rate(peak)

    def update(self, packs: Packs, loss: LossFunction, temperature: float) -> RankUpdate:
        """Take one optimiser step."""
        return self._live.update(packs, loss, temperature)

    def evaluate(self, packs: Packs, loss: LossFunction) -> Mapping[str, float]:
        """This rank's sums of the loss and its metrics; no step is taken."""
        return self._live.evaluate(packs, loss)

    def logprobs(self, packs: Packs, temperature: float, of_reference: bool) -> list[list[np.ndarray]]:
        """Log-probs [tokens] of every token of each sequence, 0 for the first, by pack."""
        return self._live.logprobs(packs, temperature, of_reference=of_reference)

    def freeze_reference(self) -> None:
        """Keep a copy of the weights as they are."""
        self._live.freeze_reference()

    def write_weights(self, path: Path) -> tuple[int, int]:
        """Write the weights to a safetensors file, on the first rank; returns the tensors and their bytes."""
        return self._live.write_weights(path)

    def free_port(self) -> tuple[str, int]:
        """This rank's host, and a port that is free on it."""
        import ray

        with socket.socket() as probe:
            probe.bind(("", 0))
            return ray.util.get_node_ip_address(), probe.getsockname()[1]

    def send_weights(self, way: Way, actors: Sequence[Any], workers: int, host: str, port: int) -> None:
        """Send the weights to engines on GPUs; the connection stays open for the next time."""
        from halyard.cluster.transfer_sender import Receivers, open_sender

        if self._receivers != actors:
            self._sender = open_sender(
                way,
                Receivers(actors=actors, workers=workers),
                rank=self._spec.rank,
                address=host,
                port=port,
                layout=self._live.layout(),
                stream=lambda: self._live.stream(),
            )
            self._receivers = actors
        self._sender.send_weights()

    def checksums(self) -> Mapping[str, str]:
        """SHA-256 of each tensor, by name."""
        return self._live.checksums()

    def gradient_report(self) -> Mapping[str, float]:
        """Norm of each trainable tensor's gradient in the last step."""
        return self._live.gradient_report()

    def save_snapshot(self, path: Path) -> None:
        """Write a model folder, on the first rank."""
        self._live.save_snapshot(path)

    def save_checkpoint(self, path: Path) -> None:
        """Write what a resume needs, on the first rank."""
        self._live.save_checkpoint(path)

    def load_checkpoint(self, path: Path) -> int:
        """Go on from a verified checkpoint; returns the optimiser steps it had taken."""
        return self._live.load_checkpoint(path)

    @property
    def _live(self) -> Trainer:
        if self._trainer is None:
            raise RuntimeError("load has not been called, or failed")
        return self._trainer


def _init_deepspeed(backend: str) -> None:
    """Let DeepSpeed use the process group that is there.

    Its shared-memory operation for CPUs stays off: it has to be compiled on first use, and a rank whose
    partner dies would spin in it for ever, where gloo says at once that the connection is closed.
    """
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend=backend, verbose=False)
