"""Memory and time of one update on 20,480 tokens, with and without what makes it fit.

A small Qwen3 with random weights learns every token of a pack, by default of one sequence, through the learner's own
module, in four ways: with activation checkpointing or without, and with log-probs in chunks (what the learner does)
or from the whole table of logits. Each case has a process of its own; its peak is the highest resident memory during
the forward and backward pass, less what was resident before. Optimiser state is not part of it.

    python -m bench.long_sequences                          the table, and a line of JSON in bench/results/
    python -m bench.long_sequences --tokens 4096 --heads chunked --vocabulary 151936
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from bench.rl_step import machine
from halyard.cluster.batch import collate
from halyard.cluster.training_module import TrainingModule
from halyard.cluster.types import TrainSequence
from model.load import load_policy
from sft.loss import cross_entropy

RESULTS = Path(__file__).resolve().parent / "results" / "long_sequences.jsonl"
HEADS = ("whole", "chunked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to take the update; `head` says how log-probs are made."""

    tokens: int
    sequences: int
    vocabulary: int
    layers: int
    threads: int
    head: str
    checkpointing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a case needed; `loss` and `gradient_norm` show that all cases computed the same."""

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
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS))
    parser.add_argument("--checkpointing", nargs="+", choices=("off", "on"), default=["off", "on"])
    options = parser.parse_args()
    shared = {name: getattr(options, name) for name in ("tokens", "sequences", "vocabulary", "layers", "threads")}
    cases = [
        Case(**shared, head=head, checkpointing=checkpointing == "on")
        for head, checkpointing in product(options.heads, options.checkpointing)
    ]
    outcomes = list(zip(cases, measure_each(cases), strict=True))
    show(outcomes)
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        line = {"machine": machine(), "cases": [asdict(case) | asdict(outcome) for case, outcome in outcomes]}
        file.write(json.dumps(line) + "\n")


def measure_each(cases: Iterable[Case]) -> list[Outcome]:
    """Each case in a fresh process: memory that one has had would hide what the next one needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.rl_step", "halyard.cluster.training_module"])  # what takes long to import
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        return list(pool.map(measure, cases))


def measure(case: Case) -> Outcome:
    """One forward and backward pass, after a short one that loads what has to be loaded."""
    torch.set_num_threads(case.threads)
    module = build(case)
    learn(module, case, tokens=64)
    before, began = resident("VmRSS"), time.perf_counter()
    loss = learn(module, case, tokens=case.tokens)
    gradients = [parameter.grad.norm() for parameter in module.parameters() if parameter.grad is not None]
    return Outcome(
        seconds=time.perf_counter() - began,
        peak_mib=resident("VmHWM") - before,
        loss=loss,
        gradient_norm=torch.stack(gradients).norm().item(),
    )


def build(case: Case) -> TrainingModule:
    """The learner's module around a policy of this shape, as the learner loads it."""
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
    module = TrainingModule(policy)
    if case.head == "whole":
        module.head = WholeHead(policy.get_output_embeddings())  # pyright: ignore
    return module


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
    table = Table("log-probs", "checkpointing", title=f"One update: {size}")
    for name in ("peak MiB", "seconds", "loss", "gradient norm"):
        table.add_column(name, justify="right")
    for case, outcome in outcomes:
        table.add_row(
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
