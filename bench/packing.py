"""What packing saves: padding, uneven ranks, and images that are encoded again for each answer.

Two steps of random sequences on the tiny policy: one as RL has it, groups of eight answers to one prompt with one
image; one as SFT has it, long texts beside short conversations of up to six images. Each is laid out in three ways:

    padded   rows in the order in which they come, filled up to the longest of their micro-batch
    tokens   packs that are even in tokens alone, each sequence with images of its own
    both     what the learner does: packs that are even in tokens and pixels, an image encoded once a pack

Times are processor seconds of one thread for forward and backward, which other programs disturb least; a step takes
as long as its slowest rank.

    python -m bench.packing                  the table, and a line of JSON in bench/results/
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional as F

from bench.rl_step import machine
from halyard.cluster.batch import collate
from halyard.cluster.division import Division, divide
from halyard.cluster.training_module import TrainingModule
from halyard.cluster.types import TrainSequence
from model.build import build
from model.load import load_policy
from sft.loss import cross_entropy

RESULTS = Path(__file__).resolve().parent / "results" / "packing.jsonl"
TOKENS_PER_PACK = 4096
Step = list[TrainSequence]
Learn = Callable[[Step], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One step laid out in one way; `slowest` is what the slowest rank takes, relative to the mean."""

    step: str
    way: str
    ranks: int
    padding: float
    images: int
    slowest: float
    microseconds_per_token: float


def main() -> None:
    """Measure, print a table, and append a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="of which the fastest counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        build("micro", Path(folder), seed=0)
        bench = Bench(Path(folder), options.ranks, options.rounds)
        outcomes = [bench.measure(name, way) for name in STEPS for way in WAYS]
    show(outcomes)
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps({"machine": machine(), "outcomes": [asdict(one) for one in outcomes]}) + "\n")


class Bench:
    """A policy, loaded for packs and for padded rows."""

    def __init__(self, folder: Path, ranks: int, rounds: int) -> None:
        self._ranks = ranks
        self._rounds = rounds
        self._module = TrainingModule(load_policy(folder, dtype=torch.float32))
        self._padded: Any = load_policy(folder, dtype=torch.float32, attention="sdpa")
        self._images: list[int] = []
        for policy in (self._module.policy, self._padded):
            tower: Any = policy.vision_model
            tower.register_forward_pre_hook(lambda _, args: self._images.append(len(args[0])))

    def measure(self, name: str, way: str) -> Outcome:
        """One step in one way."""
        sequences = STEPS[name](self._padded.config.image_token_id)
        division = WAYS[way](sequences, self._ranks)
        learn = self._learn_rows if way == "padded" else self._learn_pack
        if way == "tokens":
            sequences = [with_own_images(one, index) for index, one in enumerate(sequences)]
        packs = [[[sequences[index] for index in pack] for pack in packs] for packs in division]
        learn(packs[0][0])
        self._images.clear()
        rounds = [[sum(timed(learn, pack) for pack in own) for own in packs] for _ in range(self._rounds)]
        seconds = np.array(rounds).min(0)
        tokens = sum(len(one.token_ids) for one in sequences)
        laid = sum(rows(pack) for own in packs for pack in own) if way == "padded" else tokens
        return Outcome(
            step=name,
            way=way,
            ranks=self._ranks,
            padding=1 - tokens / laid,
            images=sum(self._images) // self._rounds,
            slowest=seconds.max() / seconds.mean(),
            microseconds_per_token=1e6 * seconds.max() * self._ranks / tokens,
        )

    def _learn_pack(self, sequences: Step) -> None:
        loss, _ = self._module(collate(sequences), 1.0, cross_entropy)
        loss.backward()

    def _learn_rows(self, sequences: Step) -> None:
        width = max(len(one.token_ids) for one in sequences)
        ids = np.stack([np.pad(one.token_ids, (0, width - len(one.token_ids))) for one in sequences])
        there = np.stack([np.arange(width) < len(one.token_ids) for one in sequences])
        learnt = np.stack([np.pad(one.loss_mask, (0, width - len(one.loss_mask))) for one in sequences])
        images = [one.pixel_values for one in sequences if one.pixel_values is not None]
        pixels = {"pixel_values": torch.from_numpy(np.concatenate(images))} if images else {}
        targets = torch.from_numpy(np.where(learnt, ids, -100))[:, 1:]
        logits = self._padded(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(there), **pixels).logits
        F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), reduction="sum").backward()


def timed(learn: Learn, sequences: Step) -> float:
    """Processor seconds."""
    began = time.thread_time()
    learn(sequences)
    return time.thread_time() - began


def rl_step(image_token: int) -> Step:
    """32 prompts of about 50 tokens with an image, and eight answers of about 25 to each."""
    random = np.random.default_rng(0)
    step = []
    for _ in range(32):
        prompt, image = int(random.integers(20, 50)), picture(random, 1)
        answers = np.clip(random.lognormal(3.1, 0.5, 8), 4, 96).astype(int)
        step += [sequence(random, image_token, prompt, int(answer), image) for answer in answers]
    return step


def sft_step(image_token: int) -> Step:
    """40 texts of about 350 tokens, and 40 conversations of about 110 with one to six images."""
    random = np.random.default_rng(1)
    texts = [sequence(random, image_token, 20, int(random.lognormal(5.7, 0.5)), None) for _ in range(40)]
    seeing = [
        sequence(random, image_token, 20, int(random.lognormal(3.5, 0.4)), picture(random, int(random.integers(1, 7))))
        for _ in range(40)
    ]
    return [texts[index] if index < 40 else seeing[index - 40] for index in random.permutation(80)]


def picture(random: np.random.Generator, images: int) -> np.ndarray:
    """Pixels of noise."""
    return random.normal(size=(images, 3, 112, 112)).astype(np.float32)


def sequence(
    random: np.random.Generator, image_token: int, prompt: int, answer: int, images: np.ndarray | None
) -> TrainSequence:
    """Images of 16 tokens each, then random words, of which the last `answer` are learnt."""
    shown = 0 if images is None else 16 * len(images)
    ids = np.concatenate([np.full(shown, image_token), random.integers(10, 200, prompt + answer)])
    mask = np.arange(len(ids)) >= max(1, len(ids) - answer)
    return TrainSequence(token_ids=ids, loss_mask=mask, weights=mask.astype(np.float32), pixel_values=images)


def with_own_images(one: TrainSequence, index: int) -> TrainSequence:
    """The same with images that no other sequence has."""
    if one.pixel_values is None:
        return one
    return replace(one, pixel_values=one.pixel_values + np.float32(index))


def in_order(sequences: Step, ranks: int) -> Division:
    """Rows as they come, as many as fill a micro-batch with their padding; micro-batches to the ranks in turn."""
    batches: list[list[int]] = [[]]
    for index, one in enumerate(sequences):
        if batches[-1] and rows([*(sequences[other] for other in batches[-1]), one]) > TOKENS_PER_PACK:
            batches.append([])
        batches[-1].append(index)
    return [batches[rank::ranks] for rank in range(ranks)]


def even_in_tokens(sequences: Step, ranks: int) -> Division:
    """Packs that know nothing of images."""
    return divide([replace(one, pixel_values=None) for one in sequences], ranks=ranks, tokens_per_pack=TOKENS_PER_PACK)


def even_in_both(sequences: Step, ranks: int) -> Division:
    """What the learner does."""
    return divide(sequences, ranks=ranks, tokens_per_pack=TOKENS_PER_PACK)


def rows(sequences: Sequence[TrainSequence]) -> int:
    """Places of padded rows."""
    return len(sequences) * max(len(one.token_ids) for one in sequences)


STEPS: dict[str, Callable[[int], Step]] = {"RL": rl_step, "SFT": sft_step}
WAYS: dict[str, Callable[[Step, int], Division]] = {
    "padded": in_order,
    "tokens": even_in_tokens,
    "both": even_in_both,
}


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the table: a row for each step and way."""
    table = Table("step", "laid out", title=f"One step over {outcomes[0].ranks} ranks")
    for name in ("padding", "images encoded", "slowest rank", "µs a token"):
        table.add_column(name, justify="right")
    for one in outcomes:
        table.add_row(
            one.step,
            one.way,
            f"{one.padding:.1%}",
            str(one.images),
            f"{one.slowest - 1:+.1%}",
            f"{one.microseconds_per_token:.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
