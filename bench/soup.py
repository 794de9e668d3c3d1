"""Model soup on a tiny SAIL-VL2: two fine-tunes tuned alike, and one from other weights to begin with.

The pattern of table 5 of SAIL-VL2's report (arXiv 2509.14033): the mean of two models that were tuned alike is better
than either (74.91 and 74.54 gave 76.60), that of two that were not collapses (74.54 and 75.41 gave 12.86). Here two
policies of other random weights and one tokenizer get the same basic SFT. For each seed the first is tuned twice, with
the same rows in other orders (a and b), and the second once (c): a + b is homogeneous, a + c is not. Everything runs
as it does for a user: the pipeline trains, `model.soup` merges, and a live engine answers the held-out problems.

    python -m bench.soup                    the table, docs/pictures/soup.png, a line in bench/results/soup.jsonl
    python -m bench.soup --base-steps 20 --steps 20 --rows 40 --dry      whether it runs; nothing is written
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from bench.rl_step import machine
from configs.benchmark import LoadedBenchmark
from configs.data import DataConfig, SyntheticSource
from configs.load import LoadedRecipe, load_recipe
from configs.stages import BenchmarkConfig, SamplingConfig
from halyard.evals.evaluation import Cell
from halyard.pipeline.evaluation import measuring
from halyard.pipeline.run import run_pipeline
from halyard.runs.atomic import new_folder
from halyard.runs.folder import RunFolder
from model.build import build
from model.soup import Merge, Soup
from model.weight_files import SINGLE

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "soup.jsonl"
PICTURE = HERE.parent / "docs" / "pictures" / "soup.png"
SOUPS = {"homogeneous": ("a", "b"), "heterogeneous": ("a", "c")}
PROBLEMS: Mapping[str, Any] = {"families": ["describe", "read", "count"], "mode": "direct", "difficulty": 0.25}
DECAY = {"schedule": "cosine", "min_share": 0.05}
STEADY = {"schedule": "constant"}
"""Fine-tunes end at the rate that they began with: what their last steps leave to chance is what a mean takes out."""
ORIGINS = ("first", "second")
"""The two initialisations, and the stages of their basic SFT."""
BASES = {"a": "first", "b": "first", "c": "second"}
"""What each of the three policies of a seed is tuned from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two models of a seed and their mean: held-out accuracy of each, and how the two lie to each other."""

    seed: int
    kind: str
    one: Cell
    other: Cell
    soup: Cell
    cosine: float
    task_cosine: float | None
    doubts: list[str]

    @property
    def gain(self) -> float:
        """Accuracy of the soup less that of the better model."""
        return self.soup.pass_at_1 - max(self.one.pass_at_1, self.other.pass_at_1)


def main() -> None:
    """Train, merge, measure; print a table, draw it, and append a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base-steps", type=int, default=500, help="steps of the basic SFT of each initialisation")
    parser.add_argument("--steps", type=int, default=100, help="steps of each fine-tune")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1000, help="held-out problems")
    parser.add_argument("--folder", type=Path, help="keep the models here, and go on with those there")
    parser.add_argument("--dry", action="store_true", help="write neither the picture nor the result")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="halyard-bench-"))
    began = time.monotonic()
    try:
        begun = (folder / "run" / "recipe.json").is_file()
        loaded = load_recipe(str(folder / "recipe.yaml")) if begun else write_recipe(folder, arguments)
        run_pipeline(loaded, folder / "run", resume=begun)
        pairs = asyncio.run(measured(loaded, RunFolder.open(folder / "run"), arguments))
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    seconds = time.monotonic() - began
    show(pairs, seconds)
    if not arguments.dry:
        draw(pairs, PICTURE)
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("a") as file:
            record = {"machine": machine(), "seconds": seconds, "pairs": [told(pair) for pair in pairs]}
            file.write(json.dumps(record) + "\n")


def write_recipe(folder: Path, arguments: argparse.Namespace) -> LoadedRecipe:
    """The recipe: the basic SFT of both initialisations, then each fine-tune from the snapshot of its base."""
    write_policies(folder)
    stages = [
        sft(base, str(folder / base), arguments.base_steps, batch=64, rate=2.5e-3, schedule=DECAY) for base in ORIGINS
    ]
    for seed in range(arguments.seeds):
        for name, base in BASES.items():
            start = folder / "run" / "snapshots" / f"0{ORIGINS.index(base) + 1}-{base}"
            stages.append(sft(f"{name}-{seed}", str(start), arguments.steps, batch=16, rate=1.5e-3, schedule=STEADY))
    recipe = {
        "name": "soup",
        "model": {"path": "first"},
        "cluster": {
            "placement": "sharing",
            "engine": {"cpus": 1, "max_model_len": 256, "max_num_seqs": 256},
            "learner": {"ranks": 2, "cpus": 1, "tokens_per_pack": 4096},
        },
        "evaluate": {"benchmarks": []},
        "stages": stages,
    }
    path = folder / "recipe.yaml"
    YAML().dump(recipe, path)
    return load_recipe(str(path))


def write_policies(folder: Path) -> None:
    """Two policies with random weights of their own, and the first one's tokenizer."""
    for seed, name in enumerate(ORIGINS):
        build("micro", folder / name, seed=seed)
    weights = (folder / ORIGINS[1] / SINGLE).read_bytes()
    shutil.copytree(folder / ORIGINS[0], folder / ORIGINS[1], dirs_exist_ok=True)
    (folder / ORIGINS[1] / SINGLE).write_bytes(weights)


def sft(name: str, start: str, steps: int, *, batch: int, rate: float, schedule: Mapping[str, Any]) -> dict[str, Any]:
    """A stage; the order of its rows follows from its name."""
    return {
        "name": name,
        "type": "sft",
        "model": {"path": start},
        "data": {"sources": [{"type": "synthetic", **PROBLEMS, "rows": 20_000}]},
        "steps": steps,
        "sequences_per_step": batch,
        "optimizer": {"learning_rate": rate, "warmup_steps": 5, "weight_decay": 0.01, **schedule},
        "checkpoint": {"every": 50},
    }


def benchmark(loaded: LoadedRecipe, rows: int) -> LoadedBenchmark:
    """Held-out problems, each answered once and greedily."""
    held_out = BenchmarkConfig(
        name="held-out",
        data=DataConfig(sources=(SyntheticSource(**PROBLEMS, split="validation", rows=rows),)),
        modes=("direct",),
        samples=1,
        sampling=SamplingConfig(temperature=0, max_tokens=24),
    )
    recipe = loaded.recipe
    return LoadedBenchmark(
        benchmark=held_out, cluster=recipe.cluster, seed=recipe.seed, root=loaded.root, source="bench.soup"
    )


async def measured(loaded: LoadedRecipe, run: RunFolder, arguments: argparse.Namespace) -> list[Pair]:
    """Every pair of every seed: both models and their mean answer the held-out problems."""
    first = len(ORIGINS) + 1
    pairs = []
    async with measuring(benchmark(loaded, arguments.rows), logs=run.logs) as measure:

        async def cell(folder: Path) -> Cell:
            return (await measure(folder)).cells[0]

        for seed in range(arguments.seeds):
            names = [f"{first + len(BASES) * seed + index:02}-{name}-{seed}" for index, name in enumerate(BASES)]
            models = {name: run.snapshots / folder for name, folder in zip(BASES, names, strict=True)}
            alone = {name: await cell(folder) for name, folder in models.items()}
            for kind, (one, other) in SOUPS.items():
                pot = Soup([models[one], models[other]], run.snapshots / f"01-{ORIGINS[0]}")
                tasting = pot.taste()
                folder = run.path / "soups" / f"{kind}-{seed}"
                with new_folder(folder) as temporary:
                    pot.write(temporary, Merge(method="uniform", weights=(0.5, 0.5)), version=folder.name)
                pairs.append(
                    Pair(
                        seed=seed,
                        kind=kind,
                        one=alone[one],
                        other=alone[other],
                        soup=await cell(folder),
                        cosine=tasting.likeness[0].cosine,
                        task_cosine=tasting.likeness[0].task_cosine,
                        doubts=tasting.doubts,
                    )
                )
    return pairs


def show(pairs: Sequence[Pair], seconds: float) -> None:
    """Print the table: a row for each soup."""
    table = Table(title=f"Held-out accuracy of two models and of their mean ({seconds / 60:.1f} minutes)")
    for heading in ("soup", "seed", "one", "other", "mean", "95 %", "gain", "cosine", "task cosine", "doubts"):
        table.add_column(heading, justify="left" if heading == "soup" else "right")
    for pair in pairs:
        table.add_row(
            pair.kind,
            str(pair.seed),
            *(f"{100 * cell.pass_at_1:.1f}" for cell in (pair.one, pair.other, pair.soup)),
            f"{100 * pair.soup.low:.1f} – {100 * pair.soup.high:.1f}",
            f"{100 * pair.gain:+.1f}",
            f"{pair.cosine:.4f}",
            f"{pair.task_cosine:.3f}",
            str(len(pair.doubts)),
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def draw(pairs: Sequence[Pair], path: Path) -> None:
    """Write the picture: the two models and their mean side by side, a group for each soup."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 3.6), layout="constrained")
    ordered = sorted(pairs, key=lambda pair: list(SOUPS).index(pair.kind))
    looks = (("one", "one model", "#b8c4d6"), ("other", "the other", "#8497b5"), ("soup", "their mean", "#d1603d"))
    for offset, (key, label, colour) in enumerate(looks):
        cells = [getattr(pair, key) for pair in ordered]
        rates = [cell.pass_at_1 for cell in cells]
        below = [max(0.0, cell.pass_at_1 - cell.low) for cell in cells]  # at a rate of 0 the two differ by a rounding
        above = [cell.high - cell.pass_at_1 for cell in cells]
        places = [place + 0.27 * (offset - 1) for place in range(len(ordered))]
        axes.bar(
            places, rates, 0.25, yerr=(below, above), color=colour, label=label, capsize=2, error_kw={"linewidth": 0.8}
        )
    axes.set_xticks(range(len(ordered)), [f"{pair.kind}\nseed {pair.seed}" for pair in ordered])
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_ylabel("held-out accuracy (95% interval)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=3, loc="upper right")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def told(pair: Pair) -> dict[str, Any]:
    """The pair as JSON, with its gain."""
    return asdict(pair) | {"gain": pair.gain}


if __name__ == "__main__":
    main()
