"""`halyard run`: a recipe from its first weights to its last evaluation, or on from where it stopped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from halyard.cli.recipe import Overrides, RecipeName
from halyard.errors import ConfigError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def run(
    recipe: RecipeName,
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

    loaded = load_recipe(recipe, overrides or ())
    folder = choose_folder(runs.expanduser().absolute(), loaded.recipe.name, name, resume=resume)
    beforehand.check(loaded, folder.parent)
    from halyard.pipeline.run import run_pipeline

    run_pipeline(loaded, folder, resume=resume)


def choose_folder(runs: Path, recipe: str, name: str | None, *, resume: bool) -> Path:
    """The run's folder: that of `name`, the recipe's newest run when resuming, or a new one with the next number.

    Raises:
        ConfigError: a new run would fall on one that is there, or there is none to resume.
    """
    if name is not None and NAME.fullmatch(name) is None:
        raise ConfigError(f"a run cannot be called {name!r}: expected letters, digits and any of - _ . after the first")
    numbers = sorted(int(path.name[-3:]) for path in runs.glob(f"{recipe}-[0-9][0-9][0-9]") if path.is_dir())
    if name is None:
        number = (numbers or [0])[-1] + (not resume)
        name = f"{recipe}-{number:03}"
    folder = runs / name
    there = folder.is_dir() and any(folder.iterdir())
    if resume and not there:
        others = ", ".join(sorted(path.parent.name for path in runs.glob("*/recipe.json"))) or "none"
        raise ConfigError(f"there is no run {folder} to resume; the runs there: {others}")
    if there and not resume:
        raise ConfigError(f"the run {folder} is there already: go on with it by --resume, or take another --name")
    return folder
