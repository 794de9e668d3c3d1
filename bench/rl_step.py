"""Where the time of an RL step goes, beside what the bare engine and the bare learner need for the same tokens.

For short and for long-tailed answers a tiny policy is first taught to answer at such lengths; then the real
loop runs at staleness 0 and 1 with the weights standing still (a learning rate of 1e-12), so that every step
has the same kind of answers. Afterwards, in the same cluster and on the same cores, the engine alone answers
the same prompts with the same seeds, and the learner alone trains on the same sequences. The overhead is the
loop's seconds a step over the larger of the two bare costs: what overlapping could reach at best.

    make bench                    the table, and one line of JSON in bench/results/rl_step.jsonl
    python -m bench.rl_step --steps 5 --shapes short
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from bench.lengths import Shape, write_rows
from configs.load import LoadedRecipe, load_recipe
from configs.stages import RlStage
from halyard.cluster.cluster import Cluster
from halyard.cluster.engine import Engine
from halyard.cluster.types import GenerationRequest, TrainSequence
from halyard.data.chat import to_chat
from halyard.data.prompts import to_prompt
from halyard.data.sources import load
from halyard.pipeline.run import run_pipeline
from halyard.runs.folder import RunFolder
from halyard.runs.rollouts import RolloutRecord
from model.load import load_processor
from model.render import Rendered
from rl.losses import PolicyLoss
from rl.presets import resolve

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "rl_step.jsonl"
WARM_UP = 2
"""First steps of a stage, which are not counted."""
PHASES = ("generate", "score", "pack", "forward", "backward", "optimizer", "transfer", "drift", "record", "wait")
STALENESS = (0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the table; seconds are means over the counted steps."""

    shape: str
    staleness: int
    step_seconds: float
    step_spread: float
    phases: Mapping[str, float]
    tokens_per_step: float
    tokens_per_second: float
    engine_seconds: float
    learner_seconds: float

    @property
    def overhead(self) -> float:
        """Share by which a step takes longer than the larger of the two bare costs."""
        return self.step_seconds / max(self.engine_seconds, self.learner_seconds) - 1


def main() -> None:
    """Measure, print a table, and append a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=10, help="counted steps of each case")
    parser.add_argument("--shapes", nargs="+", choices=get_args(Shape), default=list(get_args(Shape)))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="halyard-bench-"))
    try:
        cases = [case for shape in arguments.shapes for case in measure(shape, folder / shape, arguments.steps)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(cases)
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps({"machine": machine(), "cases": [record(case) for case in cases]}) + "\n")


def measure(shape: Shape, folder: Path, steps: int) -> list[Case]:
    """The cases of one shape of answers: the loop at each staleness, then the bare engine and learner."""
    folder.mkdir(parents=True)
    write_rows(folder / "rows.jsonl", shape, rows=2000, seed=0)
    loaded = write_recipe(folder, steps)
    run_pipeline(loaded, folder / "run")
    return asyncio.run(bare(shape, loaded, RunFolder.open(folder / "run")))


def write_recipe(folder: Path, steps: int) -> LoadedRecipe:
    """The recipe of a benchmark: engine and learner on a core each, SFT on the rows, RL at each staleness."""
    rl_stages = [
        {
            "name": f"staleness-{staleness}",
            "type": "rl",
            "data": {"sources": [{"type": "jsonl", "path": "rows.jsonl"}]},
            "steps": steps + WARM_UP,
            "max_staleness": staleness,
            "direct_share": 1.0,
            "sampling": {"max_tokens": 176},
            "algorithm": {"preset": "grpo", "kl_coef": 0.0},
            "rewards": {"terms": [{"type": "python", "path": str(HERE / "coin.py"), "name": "odd_digits"}]},
            "optimizer": {"learning_rate": 1e-12},
            "checkpoint": {"every": 1000},
        }
        for staleness in STALENESS
    ]
    sft = {
        "name": "lengths",
        "type": "sft",
        "data": {"sources": [{"type": "jsonl", "path": "rows.jsonl"}]},
        "steps": 60,
        "sequences_per_step": 32,
        "optimizer": {"learning_rate": 2e-3, "warmup_steps": 5},
    }
    recipe = {
        "name": "bench",
        "model": {"build": "micro"},
        "cluster": {
            "placement": "side_by_side",
            "engine": {"cpus": 1, "max_model_len": 256, "max_num_seqs": 256},
            "learner": {"cpus": 1, "tokens_per_pack": 4096},
        },
        "stages": [sft, *rl_stages],
    }
    path = folder / "recipe.yaml"
    YAML().dump(recipe, path)
    return load_recipe(str(path))


async def bare(shape: Shape, loaded: LoadedRecipe, run: RunFolder) -> list[Case]:
    """What engine and learner alone need for the tokens of each staleness's stage."""
    recipe = loaded.recipe
    snapshot = run.snapshots / "01-lengths"
    renderer = load_processor(snapshot)
    stages = [stage for stage in recipe.stages if isinstance(stage, RlStage)]
    rendered = {
        row.id: renderer.prompt(to_chat(to_prompt(row, thinking=False).messages), thinking=False)
        for row in load(stages[0].data, renderer=None, root=loaded.root, stage_rows=Path).rows
    }
    cases = []
    async with await Cluster.start(recipe.cluster, logs=run.logs) as cluster:
        engine = await cluster.engine("policy", snapshot)
        learner = await cluster.learner(snapshot, stages[0].optimizer, steps=10_000, seed=0)
        for stage in stages:
            folder = run.stage(recipe.stages.index(stage) + 1, stage.name)
            by_step: dict[int, list[RolloutRecord]] = {}
            for one in folder.read_rollouts():
                by_step.setdefault(one.step, []).append(one)
            counted = [by_step[step] for step in sorted(by_step) if step > WARM_UP]
            warm = by_step[1]
            await answer(engine, warm, rendered, stage)
            engine_seconds = await timed_engine(engine, counted, rendered, stage) / len(counted)
            loss = PolicyLoss.of(resolve(stage.algorithm))
            await learner.update(sequences(warm, rendered), loss)
            began = time.perf_counter()
            for records in counted:
                await learner.update(sequences(records, rendered), loss)
            learner_seconds = (time.perf_counter() - began) / len(counted)
            cases.append(case(shape, stage, folder.metrics()[WARM_UP:], engine_seconds, learner_seconds))
    return cases


async def timed_engine(
    engine: Engine, steps: Sequence[Sequence[RolloutRecord]], rendered: Mapping[str, Rendered], stage: RlStage
) -> float:
    """Seconds for all answers of all steps with as many prompts in flight as the loop has.

    At staleness 0 a step's prompts are waited for before the next step's are sent; else a prompt is sent
    whenever another is answered.
    """
    began = time.perf_counter()
    if stage.max_staleness == 0:
        for records in steps:
            await answer(engine, records, rendered, stage)
    else:
        room = asyncio.Semaphore(stage.prompts_per_step * (stage.max_staleness + 1))
        every = [one for records in steps for one in records]
        await answer(engine, every, rendered, stage, room)
    return time.perf_counter() - began


async def answer(
    engine: Engine,
    records: Sequence[RolloutRecord],
    rendered: Mapping[str, Rendered],
    stage: RlStage,
    room: asyncio.Semaphore | None = None,
) -> None:
    """Have the engine answer the prompts of some rollouts again, with their seeds."""
    room = room or asyncio.Semaphore(len(records))
    groups: dict[int, list[RolloutRecord]] = {}
    for one in records:
        groups.setdefault(one.occurrence, []).append(one)

    async def one_prompt(group: Sequence[RolloutRecord]) -> None:
        prompt = rendered[group[0].prompt_id]
        async with room:
            await engine.generate(
                GenerationRequest(
                    id=group[0].prompt_id,
                    token_ids=tuple(prompt.token_ids.tolist()),
                    images=tuple(prompt.images),
                    seeds=tuple(one.seed for one in group),
                    max_tokens=stage.sampling.max_tokens,
                )
            )

    await asyncio.gather(*map(one_prompt, groups.values()))


def sequences(records: Sequence[RolloutRecord], rendered: Mapping[str, Rendered]) -> list[TrainSequence]:
    """A step's rollouts as the loop gave them to the learner."""
    share = 1 / sum(len(one.response_token_ids) for one in records)
    made = []
    for one in records:
        prompt, response = len(one.prompt_token_ids), len(one.response_token_ids)
        mask = np.arange(prompt + response) >= prompt
        made.append(
            TrainSequence(
                token_ids=np.array([*one.prompt_token_ids, *one.response_token_ids], dtype=np.int64),
                loss_mask=mask,
                weights=(mask * share).astype(np.float32),
                advantages=(mask * (one.advantage or 0.0)).astype(np.float32),
                rollout_logprobs=np.concatenate([np.zeros(prompt), one.rollout_logprobs]).astype(np.float32),
                pixel_values=rendered[one.prompt_id].pixel_values,
            )
        )
    return made


def case(shape: str, stage: RlStage, lines: Sequence[Mapping[str, Any]], engine: float, learner: float) -> Case:
    """The figures of one stage beside the bare costs."""
    steps = [line["seconds"]["step"] for line in lines]
    tokens = statistics.fmean(line["tokens_generated"] for line in lines)
    return Case(
        shape=shape,
        staleness=stage.max_staleness,
        step_seconds=statistics.fmean(steps),
        step_spread=statistics.stdev(steps) if len(steps) > 1 else 0.0,
        phases={name: statistics.fmean(line["seconds"][name] for line in lines) for name in PHASES},
        tokens_per_step=tokens,
        tokens_per_second=tokens / statistics.fmean(steps),
        engine_seconds=engine,
        learner_seconds=learner,
    )


def show(cases: Sequence[Case]) -> None:
    """Print the table: a column for each case."""
    table = Table("", title="Seconds of an RL step; phases overlap")
    for one in cases:
        table.add_column(f"{one.shape}\nstaleness {one.staleness}", justify="right")
    table.add_row("step", *(f"{one.step_seconds:.2f} ± {one.step_spread:.2f}" for one in cases))
    for name in PHASES:
        table.add_row(f"  {name}", *(f"{one.phases[name]:.2f}" for one in cases))
    table.add_row("engine alone", *(f"{one.engine_seconds:.2f}" for one in cases))
    table.add_row("learner alone", *(f"{one.learner_seconds:.2f}" for one in cases))
    table.add_row("overhead", *(f"{one.overhead:+.0%}" for one in cases))
    table.add_row("tokens/s", *(f"{one.tokens_per_second:,.0f}" for one in cases))
    Console().print(table)


def record(case: Case) -> dict[str, Any]:
    """The case as JSON, with its overhead."""
    return asdict(case) | {"overhead": case.overhead}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    from halyard.runs.folder import versions

    memory = round(psutil.virtual_memory().total / 2**30)
    return {"cores": psutil.cpu_count(), "memory_gib": memory, "system": platform.platform(), "versions": versions()}


if __name__ == "__main__":
    main()
