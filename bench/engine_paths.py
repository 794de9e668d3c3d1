"""Tokens a second of vLLM's two ways to run a policy: its own layers, and transformers' by its Transformers backend.

Both engines run the same prompts with the same seeds, turn about, each in a process of its own, with the options that
a run gives them. Every round has new questions and new images, so that no cache helps; eight samples share a prompt.
Seconds are those of the clock and, since other programs may want the same cores, those that the processor worked.

    python -m bench.engine_paths                     the table, and one line of JSON in bench/results/engine_paths.jsonl
    python -m bench.engine_paths --requests 64 --rounds 1
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.rl_step import machine
from configs.cluster import ClusterConfig, EngineConfig
from configs.model import TinySize
from halyard.cluster import engine_options, processes
from model.build import build
from model.load import load_processor
from model.render import ChatMessage

Way = Literal["native", "transformers"]
Kind = Literal["text", "image"]
RESULTS = Path(__file__).resolve().parent / "results" / "engine_paths.jsonl"
SAMPLES = 8
"""Answers to each prompt."""
MAX_TOKENS = 96
"""Tokens of each answer: all go on to this length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Tokens a second of one way, of the rounds with so many requests of one kind: the median, and the extremes.

    `tokens_per_cpu_second` is the median of tokens for each second that the processor worked.
    """

    way: Way
    kind: Kind
    requests: int
    tokens_per_second: float
    slowest: float
    fastest: float
    tokens_per_cpu_second: float


def questions(kind: Kind, requests: int, number: int, side: int) -> list[list[ChatMessage]]:
    """The chats of round `number`, unlike those of all others; images are noise."""
    noise = np.random.default_rng(number)
    chats = []
    for index in range(requests // SAMPLES):
        images = ()
        if kind == "image":
            images = (Image.fromarray(noise.integers(0, 255, (side, side, 3), dtype=np.uint8)),)
        chats.append([ChatMessage("user", f"{number}.{index}: {noise.integers(1000)} + 7?", images)])
    return chats


def serve(pipe: Connection, folder: Path, way: Way) -> None:
    """Answer rounds of (kind, requests, number) with (tokens, seconds, seconds of work), until None comes.

    What vLLM has to say goes to a file beside `folder`.
    """
    processes.send_output_to(folder.parent / f"{way}.log")
    config = ClusterConfig(engine=EngineConfig(model_path=way))
    os.environ.update(engine_options.environment(config))
    from vllm import LLM, SamplingParams

    from model.vllm_plugin import to_vllm_prompt

    llm, renderer = LLM(str(folder), **engine_options.arguments(config)), load_processor(folder)
    pipe.send(None)
    while (asked := pipe.recv()) is not None:
        kind, requests, number = asked
        rendered = [renderer.prompt(chat, thinking=True) for chat in questions(kind, requests, number, 112)]
        prompts: list[Any] = [to_vllm_prompt(one.token_ids.tolist(), one.images) for one in rendered] * SAMPLES
        params = [
            SamplingParams(max_tokens=MAX_TOKENS, ignore_eos=True, seed=seed, logprobs=0, detokenize=False)
            for seed in range(len(prompts))
        ]
        start, worked = time.perf_counter(), time.process_time()
        outputs = llm.generate(prompts, params, use_tqdm=False)
        seconds, worked = time.perf_counter() - start, time.process_time() - worked
        pipe.send((sum(len(output.outputs[0].token_ids) for output in outputs), seconds, worked))


def measure(folder: Path, sizes: Sequence[int], rounds: int) -> list[Case]:
    """The figures of both ways; a round of each kind that is not counted comes first."""
    context = multiprocessing.get_context("spawn")
    pipes: dict[Way, Connection] = {}
    workers = []
    for way in get_args(Way):
        pipes[way], theirs = context.Pipe()
        workers.append(context.Process(target=serve, args=(theirs, folder, way), daemon=True))
        workers[-1].start()
        theirs.close()
    for pipe in pipes.values():
        pipe.recv()
    rates: dict[tuple[Way, Kind, int], list[tuple[float, float]]] = {}
    for number, kind, size in itertools.product(range(rounds + 1), get_args(Kind), sizes):
        for way, pipe in pipes.items():
            pipe.send((kind, size, number))
            tokens, seconds, worked = pipe.recv()
            if number:
                rates.setdefault((way, kind, size), []).append((tokens / seconds, tokens / worked))
    for pipe, worker in zip(pipes.values(), workers, strict=True):
        pipe.send(None)
        worker.join()
    return [case(*asked, found) for asked, found in rates.items()]


def case(way: Way, kind: Kind, requests: int, found: Sequence[tuple[float, float]]) -> Case:
    """The figures of some rounds."""
    by_clock, by_work = zip(*found, strict=True)
    return Case(
        way=way,
        kind=kind,
        requests=requests,
        tokens_per_second=statistics.median(by_clock),
        slowest=min(by_clock),
        fastest=max(by_clock),
        tokens_per_cpu_second=statistics.median(by_work),
    )


def show(cases: Sequence[Case]) -> None:
    """Print the table."""
    table = Table("prompts", "requests", *get_args(Way), "native / transformers", "by work", title="Tokens a second")
    found = {(one.way, one.kind, one.requests): one for one in cases}
    for kind, size in dict.fromkeys((one.kind, one.requests) for one in cases):
        ours, theirs = (found[way, kind, size] for way in get_args(Way))
        told = [f"{one.tokens_per_second:,.0f} ({one.slowest:,.0f}-{one.fastest:,.0f})" for one in (ours, theirs)]
        ratio = ours.tokens_per_second / theirs.tokens_per_second
        by_work = ours.tokens_per_cpu_second / theirs.tokens_per_cpu_second
        table.add_row(kind, str(size), *told, f"{ratio:.2f}", f"{by_work:.2f}")
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def main() -> None:
    """Measure, print and note down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", choices=get_args(TinySize), default="micro")
    parser.add_argument("--requests", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / arguments.model
        build(arguments.model, folder, seed=0)
        cases = measure(folder, arguments.requests, arguments.rounds)
    show(cases)
    with RESULTS.open("a", encoding="utf-8") as file:
        line = {"model": arguments.model, "rounds": arguments.rounds, "cases": [asdict(one) for one in cases]}
        file.write(json.dumps(line | {"machine": machine()}) + "\n")


if __name__ == "__main__":
    main()
