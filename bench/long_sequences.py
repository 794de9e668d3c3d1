"""Memory and time of one update on 20,480 tokens, with and without what makes it fit.

A small Qwen3 with random weights learns every token of a pack, by default of one sequence, through the learner's own
module, in several ways: with activation checkpointing or without; with log-probs in chunks (what the learner does) or
from the whole table of logits; on one rank, or on some that share the tokens (`sequence_parallel`). Each rank of a case
has a process of its own; a case's peak is the highest resident memory of a rank during the forward and backward pass,
less what was resident before. Optimiser state is not part of it.

    python -m bench.long_sequences                          the table, and a line of JSON in bench/results/
    python -m bench.long_sequences --heads chunked --vocabulary 151936 --ranks 1 2
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import product
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, distributed, nn
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from bench.rl_step import machine
from halyard.cluster.batch import collate
from halyard.cluster.sequence_group import sequence_group
from halyard.cluster.training_module import TrainingModule
from halyard.cluster.types import TrainSequence
from model.load import load_policy
from sft.loss import cross_entropy

RESULTS = Path(__file__).resolve().parent / "results" / "long_sequences.jsonl"
HEADS = ("whole", "chunked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to take the update; `head` says how log-probs are made, `ranks` how many share the tokens."""

    tokens: int
    sequences: int
    vocabulary: int
    layers: int
    threads: int
    ranks: int
    head: str
    checkpointing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a case needed, at the rank that needed most; `loss` and `gradient_norm` show that all computed the same."""

    peak_mib: float
    seconds: float
    loss: float
    gradient_norm: float


class WholeHead(nn.Module):
    """Log-probs and entropies from one table of logits [tokens, vocabulary], left to autograd."""

    def __init__(self, output_layer: nn.Linear) -> None:
        super().__init__()
        self.output_layer = output_layer

    def forward(self, hidden: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        """As `LogProbHead` gives them."""
        every = (self.output_layer(hidden).float() / temperature).log_softmax(-1)
        with torch.no_grad():
            entropies = -torch.linalg.vecdot(every.exp(), every)
        return every.gather(-1, targets[:, None])[:, 0], entropies


def main() -> None:
    """Measure, print a table, and append a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tokens", type=int, default=20_480)
    parser.add_argument("--sequences", type=int, default=1, help="of equal length, which share the tokens")
    parser.add_argument("--vocabulary", type=int, default=32_768, help="of the whole table there are several copies")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ranks", nargs="+", type=int, default=[1])
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS))
    parser.add_argument("--checkpointing", nargs="+", choices=("off", "on"), default=["off", "on"])
    options = parser.parse_args()
    shared = {name: getattr(options, name) for name in ("tokens", "sequences", "vocabulary", "layers", "threads")}
    cases = [
        Case(**shared, ranks=ranks, head=head, checkpointing=checkpointing == "on")
        for ranks, head, checkpointing in product(options.ranks, options.heads, options.checkpointing)
    ]
    outcomes = list(zip(cases, measure_each(cases), strict=True))
    show(outcomes)
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        line = {"machine": machine(), "cases": [asdict(case) | asdict(outcome) for case, outcome in outcomes]}
        file.write(json.dumps(line) + "\n")


def measure_each(cases: Iterable[Case]) -> Iterator[Outcome]:
    """Each case in fresh processes: memory that one has had would hide what the next one needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.rl_step", "halyard.cluster.training_module"])  # what takes long to import
    for case in cases:
        with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(case.ranks, mp_context=context) as pool:
            working = [pool.submit(measure, case, rank, Path(folder) / "ranks") for rank in range(case.ranks)]
            outcomes = [done.result() for done in as_completed(working)]  # a rank that fails says so first
        yield max(outcomes, key=lambda one: one.peak_mib)


def measure(case: Case, rank: int, meeting: Path) -> Outcome:
    """One forward and backward pass, after a short one that loads what has to be loaded."""
    torch.set_num_threads(case.threads)
    policy = load(case)
    where, patience = f"file://{meeting}", timedelta(minutes=10)
    distributed.init_process_group("gloo", init_method=where, rank=rank, world_size=case.ranks, timeout=patience)
    module = TrainingModule(policy, group=sequence_group(case.ranks))
    if case.head == "whole":
        module.head = WholeHead(policy.get_output_embeddings())  # pyright: ignore
    learn(module, case, tokens=64)
    before, began = resident("VmRSS"), time.perf_counter()
    loss = learn(module, case, tokens=case.tokens)
    seconds, peak = time.perf_counter() - began, resident("VmHWM") - before
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    for gradient in gradients:
        distributed.all_reduce(gradient)
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm().item()
    return Outcome(seconds=seconds, peak_mib=peak, loss=loss, gradient_norm=norm)


def load(case: Case) -> PreTrainedModel:
    """A policy of this shape, as the learner loads it."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=case.vocabulary,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=case.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=case.tokens,
        tie_word_embeddings=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        Qwen3ForCausalLM(config).save_pretrained(folder)
        policy = load_policy(Path(folder), dtype=torch.float32)
    if case.checkpointing:
        policy.gradient_checkpointing_enable({"use_reentrant": False})
    return policy


def learn(module: TrainingModule, case: Case, *, tokens: int) -> float:
    """The mean cross-entropy over random sequences, whose gradient has been computed."""
    module.zero_grad()
    length = tokens // case.sequences
    mask = np.arange(length) > 0
    weights = mask.astype(np.float32) / np.float32(case.sequences * (length - 1))
    every = np.random.default_rng(0).integers(10, case.vocabulary, (case.sequences, length))
    pack = collate([TrainSequence(token_ids=ids, loss_mask=mask, weights=weights) for ids in every])
    loss, _ = module(pack, 1.0, cross_entropy)
    loss.backward()
    return loss.item()


def resident(name: str) -> float:
    """A figure of this process's memory in MiB: VmRSS is what is resident, VmHWM the most that ever was.

    The kernel counts VmHWM by the address space, where `ru_maxrss` would begin at what the parent had.
    """
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found, f"/proc/self/status has no {name}"
    return int(found[1]) / 1024


def show(outcomes: Sequence[tuple[Case, Outcome]]) -> None:
    """Print the table: a row for each case."""
    first = outcomes[0][0]
    size = f"{first.tokens:,} tokens in {first.sequences} sequences, {first.vocabulary:,} words"
    table = Table("ranks", "log-probs", "checkpointing", title=f"One update: {size}")
    for name in ("peak MiB", "seconds", "loss", "gradient"):
        table.add_column(name, justify="right")
    for case, outcome in outcomes:
        table.add_row(
            str(case.ranks),
            case.head,
            "on" if case.checkpointing else "off",
            f"{outcome.peak_mib:,.0f}",
            f"{outcome.seconds:.1f}",
            f"{outcome.loss:.5f}",
            f"{outcome.gradient_norm:.5f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
