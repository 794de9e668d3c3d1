"""Answers over HTTP: our service beside vLLM's own server on the same tiny policy, in one run on the same cores.

Both are started with the same engine arguments; what our engines have besides (the scheduler that takes weights
between steps, the weight transfer) counts as ours. 1, 16 and 64 clients stream chats of 64 tokens, on one server and
then on the other, several rounds each, every round with prompts of its own; the table has the medians over rounds.

    make bench-serving            the table, and one line of JSON in bench/results/serving.jsonl
    python -m bench.serving --rounds 1
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from bench.rl_step import machine
from bench.serving_client import Answer, Load, load
from configs.serving import ServingConfig, load_serving
from halyard.cluster import engine_options
from model.build import build
from model.snapshot import write_manifest
from serving.engine import cluster_config

RESULTS = Path(__file__).resolve().parent / "results" / "serving.jsonl"
CHATS = {1: 12, 16: 96, 64: 256}
"""Chats of a round, by the number of clients."""
TOKENS = 64
MODEL = "bench@01"
SETTINGS = {"engine": {"max_model_len": 512, "max_num_seqs": 64, "kv_cache_gib": 0.5}}
OURS_ALONE = ("scheduler_cls", "worker_extension_cls", "weight_transfer_config", "hf_overrides")
START_SECONDS = 240.0
PYTHON = (sys.executable, "-m")
_WORDS = ("red", "circle", "two", "left", "blue", "count", "square", "many", "three", "picture", "green", "of")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What so many clients got from our service and from vLLM's server: medians over the rounds."""

    clients: int
    ours: Load
    bare: Load

    def ratios(self) -> Load:
        """Our figures over theirs."""
        pairs = {name: (value, asdict(self.bare)[name]) for name, value in asdict(self.ours).items()}
        return Load(**{name: ours / bare for name, (ours, bare) in pairs.items()})


def main() -> None:
    """Measure, print a table, and append a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds on each server and number of clients")
    parser.add_argument("--clients", type=int, nargs="+", choices=list(CHATS), default=list(CHATS))
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}, expected at least 1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end with this process
    folder = Path(tempfile.mkdtemp(prefix="halyard-bench-"))
    try:
        with servers(folder) as (ours, bare):
            pairs = asyncio.run(measure(ours, bare, arguments.clients, arguments.rounds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(pairs)
    RESULTS.parent.mkdir(exist_ok=True)
    cases = [{"clients": one.clients, **{k: asdict(v) for k, v in _sides(one).items()}} for one in pairs]
    with RESULTS.open("a") as file:
        file.write(json.dumps({"machine": machine(), "cases": cases}) + "\n")


async def measure(ours: str, bare: str, clients: Sequence[int], rounds: int) -> list[Pair]:
    """The figures for each number of clients; the servers take turns, and who begins changes with the round."""
    for url in (ours, bare):
        await load(url, chats(8, seed=0), clients=8)  # first requests warm caches and compile grammars
    pairs = []
    for count in clients:
        loads: dict[str, list[Load]] = {ours: [], bare: []}
        for turn in range(rounds):
            given = chats(CHATS[count], seed=count * 1000 + turn)
            asked = {url: await load(url, given, count) for url in ((ours, bare) if turn % 2 else (bare, ours))}
            check_same(asked[ours][1], asked[bare][1])
            for url, (one, _) in asked.items():
                loads[url].append(one)
        pairs.append(Pair(clients=count, ours=_median(loads[ours]), bare=_median(loads[bare])))
    return pairs


def chats(count: int, *, seed: int) -> list[dict[str, Any]]:
    """Chats of about fifty tokens, no two alike, each answered with as many tokens as the others."""
    draw = random.Random(seed)
    return [
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": " ".join(draw.choices(_WORDS, k=24))}],
            "max_tokens": TOKENS,
            "seed": draw.randrange(2**31),
            "ignore_eos": True,
        }
        for _ in range(count)
    ]


def check_same(ours: Sequence[Answer], bare: Sequence[Answer]) -> None:
    """Nothing, when both servers read the same prompts and wrote as many tokens.

    Raises:
        RuntimeError: they did not, and no ratio would mean anything.
    """
    read, wrote = (
        [sum(getattr(one, name) for one in side) for side in (ours, bare)] for name in ("prompt_tokens", "tokens")
    )
    if read[0] != read[1] or wrote[0] != wrote[1]:
        raise RuntimeError(f"the servers did different work: {read} tokens read, {wrote} written (ours, vLLM's)")


def _median(loads: Sequence[Load]) -> Load:
    return Load(**{name: statistics.median(asdict(one)[name] for one in loads) for name in asdict(loads[0])})


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[tuple[str, str]]:
    """Addresses of our service and of vLLM's own server on one policy; both end with the block."""
    snapshot = folder / "bench" / "snapshots" / "01"
    build("micro", snapshot, seed=0)
    write_manifest(snapshot, version="01", parent=None, lineage={"run": "bench", "role": "policy"})
    (folder / "bench" / "recipe.json").write_text("{}")
    YAML().dump(SETTINGS, folder / "serving.yaml")
    config = load_serving(folder / "serving.yaml", {})
    ports = _free_ports(2)
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    ours = [*PYTHON, "halyard.cli.main", "serve", str(folder / "bench"), "--config", str(folder / "serving.yaml")]
    bare = [*PYTHON, "vllm.entrypoints.openai.api_server", "--model", str(snapshot), "--served-model-name", MODEL]
    commands = ([*ours, "--port", str(ports[0])], [*bare, "--port", str(ports[1]), *flags(config)])
    with contextlib.ExitStack() as started:
        for url, probe, command in zip(urls, ("readyz", "health"), commands, strict=True):
            started.enter_context(_process(command, f"{url}/{probe}", folder / f"{probe}.log", config))
        yield urls[0], urls[1]


def flags(config: ServingConfig) -> list[str]:
    """Our engines' arguments as vLLM's command line takes them."""
    arguments = {"host": "127.0.0.1", "load_format": "safetensors"} | engine_options.arguments(cluster_config(config))
    return [part for name, value in arguments.items() if name not in OURS_ALONE for part in _flag(name, value)]


def _flag(name: str, value: Any) -> list[str]:
    written = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{written}" if value else f"--no-{written}"]
    return [f"--{written}", json.dumps(value) if isinstance(value, Mapping) else str(value)]


@contextlib.contextmanager
def _process(command: Sequence[str], probe: str, log: Path, config: ServingConfig) -> Iterator[None]:
    """A server that answers its probe; it is ended with all its children."""
    environment = os.environ | engine_options.environment(cluster_config(config))
    environment |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(probe):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(command[:4])} did not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.5)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


def _sides(pair: Pair) -> dict[str, Load]:
    return {"halyard serve": pair.ours, "vLLM's server": pair.bare, "ratio": pair.ratios()}


def show(pairs: Sequence[Pair]) -> None:
    """Print the table: three rows for each number of clients."""
    table = Table("clients", "server", title="Chats of 64 tokens, streamed")
    for name in ("tokens/s", "first text, median (ms)", "first text, p90 (ms)"):
        table.add_column(name, justify="right")
    for pair in pairs:
        for name, one in _sides(pair).items():
            if name == "ratio":
                cells = [f"{value:.2f}" for value in asdict(one).values()]
            else:
                cells = [f"{one.tokens_per_second:,.0f}", f"{one.first_median * 1e3:.1f}", f"{one.first_p90 * 1e3:.1f}"]
            table.add_row(str(pair.clients) if name == "halyard serve" else "", name, *cells)
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    main()
