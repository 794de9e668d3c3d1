"""`halyard recipe`: the shipped recipes, what a recipe comes to, and whether it is valid."""

from __future__ import annotations

from typing import Annotated

import typer

from halyard.cli import shell

app = typer.Typer(no_args_is_help=True, help="List, show and check recipes.", rich_markup_mode="markdown")
RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe's name, or a YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes, such as cluster.engine.cpus=2.")
]


@app.command("list")
def show_list() -> None:
    """List the recipes that come with Halyard.

    Example: `halyard recipe list`
    """
    from rich.table import Table

    from configs.load import load_recipe, shipped

    table = Table("recipe", "what it is", "stages", "minutes", box=None, header_style="bold")
    for name in shipped():
        found = load_recipe(name).recipe
        minutes = f"{found.minutes:g}" if found.minutes else ""
        table.add_row(name, found.description, str(len(found.stages)), minutes)
    shell.show(table)


@app.command()
def show(recipe: RecipeName, overrides: Overrides = None) -> None:
    """Print a recipe with every default filled in, as YAML.

    Example: `halyard recipe show quickstart verifiable-rl.steps=60`
    """
    import sys

    from ruamel.yaml import YAML

    from configs.load import load_recipe

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(load_recipe(recipe, overrides or ()).recipe.model_dump(mode="json"), sys.stdout)


@app.command()
def check(recipe: RecipeName, overrides: Overrides = None) -> None:
    """Say whether a recipe is valid, and whether the files that it names are there.

    Example: `halyard recipe check my.yaml`
    """
    from configs.load import load_recipe
    from halyard.cli import beforehand

    loaded = load_recipe(recipe, overrides or ())
    beforehand.check(loaded)
    typer.echo(f"{loaded.recipe.name} is valid: {', '.join(stage.name for stage in loaded.recipe.stages)}")
