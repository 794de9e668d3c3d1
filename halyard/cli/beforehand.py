"""What is looked at before anything starts: files, rewards, room, cores, and the first rows of the data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from configs.checks import data_of
from configs.data import DataConfig, FileSource, HuggingFaceSource
from configs.rewards import PythonTerm, RewardTerm, all_terms
from configs.stages import FilterStage, HardCasesStage, RlStage
from configs.surroundings import check_surroundings

if TYPE_CHECKING:
    from configs.load import LoadedRecipe
    from halyard.data.sources import Need

ROWS = 1000


def check(loaded: LoadedRecipe, runs: Path | None = None) -> None:
    """Nothing, when what the recipe names is there and sound; with `runs`, when this machine can run it, too.

    Raises:
        HalyardError: something is not; the message says what to do.
    """
    check_surroundings(loaded, runs)
    if runs is not None:
        _placement(loaded)
    _rewards(loaded)
    _first_rows(loaded)


def _placement(loaded: LoadedRecipe) -> None:
    """Cores and GPUs of this machine; another cluster is asked when it is joined."""
    from halyard.cluster.placement import Resources, local_cores, local_gpus, plan

    if loaded.recipe.cluster.address is None:
        plan(loaded.recipe.cluster, Resources(cpus=local_cores(), gpus=local_gpus()))


def _rewards(loaded: LoadedRecipe) -> None:
    """Rewards that are functions can be loaded, and take their parameters."""
    from rewards.functions import load_term

    for stage in loaded.recipe.stages:
        for _, term in all_terms(stage.rewards.terms) if isinstance(stage, RlStage) else ():
            if isinstance(term, PythonTerm | RewardTerm):
                load_term(term, loaded.root)


def _first_rows(loaded: LoadedRecipe) -> None:
    """The first rows of every file have what the stage that reads them needs."""
    from halyard.data.sources import load

    for path, data in data_of(loaded.recipe):
        files = [source for source in data.sources if isinstance(source, FileSource | HuggingFaceSource)]
        if files:
            front = [source.model_copy(update={"limit": min(source.limit or ROWS, ROWS)}) for source in files]
            part: DataConfig = data.model_copy(update={"sources": tuple(front)})
            stage = loaded.recipe.stages[int(path[1])] if path[0] == "stages" else None
            asks = stage is None or isinstance(stage, RlStage | FilterStage | HardCasesStage)
            need: Need = "answer" if asks else "assistant"
            load(part, renderer=None, root=loaded.root, stage_rows=loaded.resolve, need=need)
