"""`halyard data`: what a stage is really trained on, token by token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halyard.cli.recipe import Overrides, RecipeName
from halyard.cli.shell import hush
from halyard.errors import ConfigError

if TYPE_CHECKING:
    from configs.load import LoadedRecipe
    from configs.stages import FilterStage, HardCasesStage, RlStage, SftStage
    from model.render import Renderer

    StageWithData = SftStage | RlStage | FilterStage | HardCasesStage

app = typer.Typer(no_args_is_help=True, help="Look at data.", rich_markup_mode="markdown")


@app.callback()
def root() -> None:
    """Look at data."""


@app.command()
def show(
    recipe: RecipeName,
    stage: Annotated[str, typer.Argument(help="Name of a stage with data of its own.")],
    overrides: Overrides = None,
    rows: Annotated[int, typer.Option("-n", "--rows", min=1, help="How many rows.")] = 3,
) -> None:
    """Print rows of a stage as the policy sees them: what it learns on green (in a file: in brackets).

    Example: `halyard data show quickstart longcot-sft --rows 2`
    """
    import sys
    import tempfile

    hush()
    from configs.load import load_recipe
    from halyard.data.chat import to_chat
    from halyard.data.mixture import Mixture
    from halyard.data.prompts import question
    from halyard.data.sources import load
    from model.show import show_mask

    loaded = load_recipe(recipe, overrides or ())
    found = choose_stage(loaded, stage)
    learns = found.type == "sft"
    with tempfile.TemporaryDirectory() as folder:
        renderer = _renderer(loaded, found, Path(folder))
        dataset = load(found.data, renderer=renderer, root=loaded.root, stage_rows=_no_rows)
        for row in Mixture(dataset, seed=loaded.recipe.seed).take(rows):
            messages = row.messages if learns else question(row)
            thinking = not learns or any(message.reasoning for message in messages)
            write = renderer.conversation if learns else renderer.prompt
            typer.secho(f"\n{row.id}  {row.task} {row.family}  answer {row.answer}", bold=True)
            shown = write(to_chat(messages), thinking=thinking)
            typer.echo(show_mask(renderer, shown, colour=sys.stdout.isatty()))


def choose_stage(loaded: LoadedRecipe, name: str) -> StageWithData:
    """The stage of that name.

    Raises:
        ConfigError: there is none, or it makes its data from another stage's.
    """
    from configs.faults import nearest
    from configs.stages import HarvestStage

    stages = {stage.name: stage for stage in loaded.recipe.stages if not isinstance(stage, HarvestStage)}
    if name not in stages:
        hint = nearest(name, stages) or f"; these are: {', '.join(stages)}"
        raise ConfigError(f"{name} is no stage with data of its own{hint}")
    return stages[name]


def _no_rows(stage: str) -> Path:
    raise ConfigError(f"the rows come from the stage {stage}, and only a run makes them: see its rows.jsonl there")


def _renderer(loaded: LoadedRecipe, stage: StageWithData, folder: Path) -> Renderer:
    """The renderer of the policy that the stage starts from, which is built if the recipe says so."""
    from model.build import build
    from model.load import load_processor

    model = (stage.model if stage.type == "sft" else None) or loaded.recipe.model
    if model.build is None:
        return load_processor(loaded.resolve(model.path or ""))
    build(model.build, folder / "policy", seed=loaded.recipe.seed)
    return load_processor(folder / "policy")
