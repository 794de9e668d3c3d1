"""`halyard run`: a recipe from its first weights to its last evaluation, or on from where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from halyard.cli.recipe import Overrides
from halyard.cli.status import find_run
from halyard.errors import ConfigError


def run(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="A shipped recipe's name, or a YAML file; a run has its own.")
    ] = None,
    overrides: Overrides = None,
    name: Annotated[str | None, typer.Option(help="What to call the run; RECIPE-001 and so on if left out.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run: --name's, or the recipe's newest.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="The folder of all runs.", file_okay=False)] = Path("runs"),
) -> None:
    """Run a recipe: a whole pipeline, or a single stage.

    Everything that can be wrong with it is looked at first. Ctrl-C once finishes the step and writes a
    checkpoint; twice stops at once. Either way `--resume` goes on.

    Example: `halyard run quickstart verifiable-rl.steps=60 --name short`
    """
    from configs.load import load_recipe
    from halyard.cli import beforehand
    from halyard.runs.folder import RunFolder, choose_folder

    runs = runs.expanduser().absolute()
    if recipe is not None:
        loaded = load_recipe(recipe, overrides or ())
        folder = choose_folder(runs, loaded.recipe.name, name, resume=resume)
    elif resume:
        folder = find_run(name, runs)
        loaded = RunFolder(folder).loaded()
    else:
        raise ConfigError("name a recipe, such as quickstart; `halyard recipe list` shows those that ship")
    beforehand.check(loaded, folder.parent)
    from halyard.pipeline.run import run_pipeline

    run_pipeline(loaded, folder, resume=resume)
