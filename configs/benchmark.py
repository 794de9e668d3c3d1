"""A benchmark by itself: one of a recipe's, or a YAML file that says as much."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from configs.base import Natural
from configs.checks import benchmark_faults
from configs.cluster import ClusterConfig, EngineConfig
from configs.data import StageSource
from configs.faults import Fault, Origins, describe, nearest, refuse
from configs.load import load_recipe
from configs.stages import BenchmarkConfig
from configs.text import read_file
from halyard.errors import ConfigError


class BenchmarkFile(BenchmarkConfig):
    """A benchmark in a file of its own, with what else a recipe would say."""

    engine: EngineConfig = EngineConfig()
    """The engine that answers."""
    seed: Natural = 0
    """The draws follow from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedBenchmark:
    """A benchmark, the cluster that it is answered on, and the folder that its relative paths start from."""

    benchmark: BenchmarkConfig
    cluster: ClusterConfig
    seed: int
    root: Path
    source: str

    def told(self) -> dict[str, Any]:
        """Everything that the figures depend on beside the model, as plain values."""
        return {"source": self.source, "seed": self.seed, **self.benchmark.model_dump(mode="json")}


def load_benchmark(text: str) -> LoadedBenchmark:
    """The benchmark that RECIPE:NAME or a YAML file says.

    Raises:
        ConfigError: there is none, or it is wrong; the message has a line for every fault.
    """
    path = Path(text).expanduser()
    if path.is_file():
        return _from_file(path.resolve(), text)
    recipe, colon, name = text.rpartition(":")
    if not colon:
        raise ConfigError(
            f"there is no benchmark {text}: expected a YAML file, or a recipe and one of its benchmarks, "
            "such as quickstart:reasoning"
        )
    loaded = load_recipe(recipe)
    there = {one.name: one for one in loaded.recipe.evaluate.benchmarks}
    if name not in there:
        hint = nearest(name, there) or f"; it has {', '.join(there) or 'none'}"
        raise ConfigError(f"the recipe {recipe} has no benchmark {name or 'without a name'}{hint}")
    return LoadedBenchmark(
        benchmark=there[name],
        cluster=loaded.recipe.cluster,
        seed=loaded.recipe.seed,
        root=loaded.root,
        source=f"{loaded.path}:{name}",
    )


def _from_file(path: Path, shown: str) -> LoadedBenchmark:
    document = read_file(path)
    if not isinstance(document.value, dict):
        raise ConfigError(f"{shown}: this is no benchmark: expected keys, name and data among them")
    origins = Origins({keys: f"{shown}:{line}" for keys, line in document.lines.items()} | {(): shown})
    refuse(document.faults, origins)
    try:
        found = BenchmarkFile.model_validate(document.value)
    except ValidationError as error:
        refuse(describe(error.errors(), BenchmarkFile), origins)
        raise
    stages = [index for index, source in enumerate(found.data.sources) if isinstance(source, StageSource)]
    told = "is stage, expected a source of its own: a benchmark by itself has no stages"
    faults = [Fault(("data", "sources", index, "type"), told) for index in stages]
    refuse([*faults, *benchmark_faults((), found, found.engine.max_model_len)], origins)
    return LoadedBenchmark(
        benchmark=found, cluster=ClusterConfig(engine=found.engine), seed=found.seed, root=path.parent, source=str(path)
    )
