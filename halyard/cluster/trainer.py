"""What one rank does: forward, backward and optimiser step on its share of the sequences.

**One denominator.** The caller has normalised `TrainSequence.weights` over the whole step, so the step's
loss is the plain sum of the micro-batches' losses over all ranks, L = sum_r sum_m L[r,m], with the gradient
g = sum_r sum_m g[r,m]. DeepSpeed divides each loss by `gradient_accumulation_steps` (kept at 1, and turned
off with `scale_wrt_gas=False`), adds up the micro-batches of a rank, and averages over the R ranks, which
makes (1/R) sum_r sum_m g[r,m]. Hence every loss is multiplied by R before its backward pass. Which
micro-batch is the last of the step is said explicitly, since their number changes from step to step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import distributed, nn

from configs.cluster import LearnerConfig
from halyard.cluster import checkpoint, weights, zero
from halyard.cluster.batch import Pack, collate
from halyard.cluster.optimizer import freeze, set_rate
from halyard.cluster.rank_types import Packs, RankUpdate, Task
from halyard.cluster.schedules import learning_rate
from halyard.cluster.sequence_group import check_heads, sequence_group
from halyard.cluster.training_module import TrainingModule
from halyard.cluster.types import LossFunction
from halyard.durable import sync
from halyard.errors import LearnerError
from model.load import load_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from halyard.cluster.types import TrainSequence


class Trainer:
    """A policy under training. The ranks' trainers call the same methods at the same time."""

    def __init__(self, config: LearnerConfig, task: Task) -> None:
        self._config = config
        self._task = task
        self._device = torch.device("cuda" if config.gpus else "cpu")
        self._reference: nn.Module | None = None
        self._squares = torch.zeros(0)
        self._steps = 0
        self._spoilt = False
        policy = self._load()
        check_heads(policy, config.sequence_parallel)
        freeze(policy, task.optimizer.freeze)
        if config.activation_checkpointing:
            policy.gradient_checkpointing_enable({"use_reentrant": False})
        self._group = sequence_group(config.sequence_parallel)
        self._module = TrainingModule(policy, load_balance=task.optimizer.load_balance, group=self._group)
        self._engine = zero.initialize(self._module, config, task.optimizer)
        self._master = zero.MasterState(self._engine)
        self._trained = [(name, p) for name, p in self._module.named_weights() if p.requires_grad]

    def set_learning_rate(self, peak: float) -> None:
        """Have the next steps go by another peak; the shares of parts that have rates of their own stay."""
        optimizer = self._task.optimizer.model_copy(update={"learning_rate": peak})
        self._task = replace(self._task, optimizer=optimizer)

    def update(self, packs: Packs, loss: LossFunction, temperature: float) -> RankUpdate:
        """Take one optimiser step on this rank's micro-batches.

        Raises:
            LearnerError: on all ranks, if on any of them a loss or the gradient is not finite or the loss
                function failed. No weight has changed.
        """
        if self._spoilt:
            raise LearnerError("the last step was refused: reset the learner before the next one")
        self._seed()
        update = RankUpdate(learning_rate=self._set_learning_rate())
        problems = [
            problem
            for number, sequences in enumerate(packs)
            if (problem := self._accumulate(sequences, loss, temperature, update, last=number == len(packs) - 1))
        ]
        with update.phase("optimizer"):
            self._squares = zero.squared_gradient_norms([parameter for _, parameter in self._trained])
            self._refuse(problems)
            self._engine.step()
        self._steps += 1
        update.grad_norm = math.sqrt(self._squares.sum().item())
        return replace(update, metrics=dict(update.metrics), seconds=dict(update.seconds))

    def evaluate(self, packs: Packs, loss: LossFunction) -> Mapping[str, float]:
        """This rank's sums of the loss ("loss") and its metrics, without a step.

        Raises:
            LearnerError: on all ranks, if on any of them the loss function failed or the loss is not finite.
        """
        update, problems = RankUpdate(), []
        with torch.no_grad():
            for sequences in packs:
                _, result = self._module(self._pack(sequences), 1.0, loss)
                _count(result, update)
                problems += [result.problem] if result.problem else []
        if told := self._share(problems):
            raise LearnerError(f"the evaluation failed: {'; '.join(told[:3])}")
        return {"loss": update.loss, **update.metrics}

    def logprobs(self, packs: Packs, temperature: float, *, of_reference: bool) -> list[list[np.ndarray]]:
        """Log-probs [tokens] of every token of each sequence, 0 for the first, by pack; no gradient.

        Raises:
            LearnerError: the reference's are asked for, but none was frozen.
        """
        module = self._reference if of_reference else self._module
        if module is None:
            raise LearnerError("there is no reference policy: freeze_reference has not been called")
        with torch.no_grad():
            return [self._logprobs(module, sequences, temperature) for sequences in packs]

    def freeze_reference(self) -> None:
        """Keep a copy of the weights as they are, for `logprobs(..., of_reference=True)`."""
        reference = TrainingModule(self._load(), group=self._group)
        for (_, kept), (_, current) in zip(reference.named_weights(), self._module.named_weights(), strict=True):
            with zero.whole(current) as tensor:
                kept.data.copy_(tensor)
        self._reference = zero.initialize_frozen(reference, self._config)

    def write_weights(self, path: Path) -> tuple[int, int]:
        """Write the weights to the safetensors file `path` (first rank); returns the tensors and their bytes."""
        return weights.write_weights(self._module, path)

    def layout(self) -> weights.Layout:
        """Name, type and shape of each tensor that `stream` yields."""
        return weights.layout(self._module)

    def stream(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Each tensor with its name in a checkpoint, whole on every rank while its turn lasts."""
        return weights.stream(self._module)

    def checksums(self) -> Mapping[str, str]:
        """SHA-256 of each tensor, by its name in a checkpoint."""
        return weights.checksums(self._module)

    def gradient_report(self) -> Mapping[str, float]:
        """Norm of each trainable tensor's gradient in the last step, before clipping.

        Raises:
            LearnerError: no step has been taken.
        """
        if not len(self._squares):
            raise LearnerError("there is no gradient to report yet: no step has been taken")
        names = [name for name, _ in self._trained]
        return dict(zip(names, self._squares.sqrt().tolist(), strict=True))

    def save_snapshot(self, folder: Path) -> None:
        """Write a Hugging Face model folder (first rank), with the processor's files of the one it began as."""
        if zero.rank() == 0:
            weights.write_description(self._task.path, folder, self._module.policy)
        weights.write_weights(self._module, folder / "model.safetensors", durable=True)
        if zero.rank() == 0:
            sync(folder)

    def save_checkpoint(self, folder: Path) -> None:
        """Write what a resume needs (first rank)."""
        checkpoint.save(folder, self._master, self._module.named_weights(), steps=self._steps)

    def load_checkpoint(self, folder: Path) -> int:
        """Go on from a verified checkpoint; returns the optimiser steps it had taken."""
        self._steps = checkpoint.load(folder, self._master, self._module.named_weights())
        return self._steps

    def _load(self) -> Any:
        policy: Any = load_policy(self._task.path, dtype=getattr(torch, self._config.dtype))
        return policy.to(self._device)

    def _pack(self, sequences: Sequence[TrainSequence]) -> Pack:
        return collate(sequences, least=self._config.sequence_parallel).to(self._device)

    def _logprobs(self, module: nn.Module, sequences: Sequence[TrainSequence], temperature: float) -> list[np.ndarray]:
        lengths = [len(sequence.token_ids) for sequence in sequences]
        everything = [replace(one, loss_mask=np.arange(n) > 0) for one, n in zip(sequences, lengths, strict=True)]
        found, _ = module(self._pack(everything), temperature)
        parts = found.cpu().split([length - 1 for length in lengths])
        return [np.concatenate([np.zeros(1, np.float32), part.numpy()]) for part in parts]

    def _seed(self) -> None:
        """Make what is random in a step follow from seed, step and rank alone, so that a resume repeats it."""
        entropy = np.random.SeedSequence((self._task.seed, self._steps, zero.rank()))
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def _set_learning_rate(self) -> float:
        rate = learning_rate(self._task.optimizer, step=self._steps, steps=self._task.steps)
        set_rate(zero.adam(self._engine), rate)
        return rate

    def _accumulate(
        self,
        sequences: Sequence[TrainSequence],
        loss: LossFunction,
        temperature: float,
        update: RankUpdate,
        *,
        last: bool,
    ) -> str | None:
        """Add a micro-batch's gradient; returns what is wrong with its loss, if anything is."""
        with update.phase("pack"):
            pack = self._pack(sequences)
        self._engine.set_gradient_accumulation_boundary(last)
        with update.phase("forward"):
            value, result = self._engine(pack, temperature, loss)
        with update.phase("backward"):
            self._engine.backward(value * zero.world_size(), scale_wrt_gas=False)
        _count(result, update)
        return result.problem

    def _refuse(self, problems: list[str]) -> None:
        """Return if the step may be taken; all ranks decide alike.

        Raises:
            LearnerError: says which rank, and what is wrong there.
        """
        told = self._share(problems)
        if not told and not self._squares.isfinite().all():
            odd = [n for (n, _), square in zip(self._trained, self._squares, strict=True) if not square.isfinite()]
            told = [f"the gradient of {len(odd)} tensors is not finite, the first being {odd[0]}"]
        if told:
            self._spoilt = True
            raise LearnerError(f"step {self._steps + 1} was refused, and no weight has changed: {'; '.join(told[:3])}")

    def _share(self, problems: list[str]) -> list[str]:
        """The problems of all ranks; the ranks wait for each other."""
        count = torch.tensor(len(problems), device=self._device)
        distributed.all_reduce(count)
        if not count:
            return []
        everyone: list[Any] = [None] * zero.world_size()
        distributed.all_gather_object(everyone, [f"rank {zero.rank()}: {problem}" for problem in problems])
        return [line for lines in everyone for line in lines]


def _count(result: Any, update: RankUpdate) -> None:
    update.loss += result.loss.item()
    for name, value in result.metrics.items():
        update.metrics[name] += float(value)
