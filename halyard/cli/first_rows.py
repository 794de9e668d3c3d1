"""The first rows of a recipe's files, looked at before anything starts: are they what the stages need?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from configs.checks import data_of
from configs.data import DataConfig, FileSource, HuggingFaceSource
from configs.stages import FilterStage, HardCasesStage, RlStage

if TYPE_CHECKING:
    from configs.load import LoadedRecipe
    from halyard.data.sources import Need

ROWS = 1000


def check_first_rows(loaded: LoadedRecipe) -> None:
    """Nothing, when the first rows of every file have what the stage that reads them needs.

    Raises:
        DataError: they do not; the message names file, row and reason.
    """
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
