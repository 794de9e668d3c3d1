"""Learner ranks as plain processes: the real trainer, DeepSpeed and gloo, without Ray around them."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Work = Callable[..., Any]


@dataclass
class Ranks:
    """Processes that have met; `run` gives each the same function to call, with its rank first."""

    pipes: list[Any] = field(default_factory=list)
    processes: list[Any] = field(default_factory=list)

    @classmethod
    def start(cls, count: int, folder: Path) -> Ranks:
        """Start `count` ranks and let them meet in a file of `folder`."""
        context = multiprocessing.get_context("spawn")
        ranks = cls()
        for rank in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, rank, count, folder), daemon=True)
            process.start()
            theirs.close()
            ranks.pipes.append(ours)
            ranks.processes.append(process)
        return ranks

    def run(self, work: Work, *arguments: Any, seconds: float = 120) -> list[Any]:
        """What `work(rank, *arguments)` returned on each rank.

        Raises:
            AssertionError: it failed on one, or took longer: the ranks may be waiting for each other.
        """
        for pipe in self.pipes:
            pipe.send((work, arguments))
        for rank, pipe in enumerate(self.pipes):
            assert pipe.poll(seconds), f"rank {rank} gave no answer within {seconds} s"
        answers = [pipe.recv() for pipe in self.pipes]
        failures = [f"rank {rank}: {failure}" for rank, (failure, _) in enumerate(answers) if failure]
        assert not failures, "\n".join(failures)
        return [answer for _, answer in answers]

    def stop(self) -> None:
        """End the processes."""
        for process in self.processes:
            process.kill()
            process.join()


def _serve(pipe: Any, rank: int, count: int, folder: Path) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK="0", WORLD_SIZE=str(count), DS_ACCELERATOR="cpu")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
    import torch
    from torch import distributed

    from halyard.cluster.learner_rank import _init_deepspeed

    torch.set_num_threads(1)
    store = distributed.FileStore(str(folder / "ranks"), count)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=count)
    _init_deepspeed("gloo")
    while True:
        try:
            work, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((None, work(rank, *arguments)))
        except Exception:
            pipe.send((traceback.format_exc(), None))
