"""`halyard data`: what a stage is really trained on, token by token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halyard.cli.recipe import Overrides, RecipeName
from halyard.errors import ConfigError

if TYPE_CHECKING:
    from configs.load import LoadedRecipe
    from configs.stages import Stage
    from model.render import Rendered, Renderer

app = typer.Typer(no_args_is_help=True, help="Look at data.", rich_markup_mode="markdown")


@app.callback()
def root() -> None:
    """Look at data."""


@app.command()
def show(
    recipe: RecipeName,
    stage: Annotated[str, typer.Argument(help="Name of an sft, rl, filter or hard_cases stage.")],
    overrides: Overrides = None,
    rows: Annotated[int, typer.Option("-n", "--rows", min=1, help="How many rows.")] = 3,
) -> None:
    """Print the first rows of a stage as the policy sees them: what it learns is green, what it is shown is dimmed.

    Example: `halyard data show quickstart longcot-sft --rows 2`
    """
    import tempfile

    from configs.load import load_recipe
    from halyard.data.chat import to_chat
    from halyard.data.mixture import Mixture
    from halyard.data.prompts import question
    from halyard.data.sources import load

    loaded = load_recipe(recipe, overrides or ())
    found = _stage(loaded, stage)
    with tempfile.TemporaryDirectory() as folder:
        renderer = _renderer(loaded, found, Path(folder))
        dataset = load(found.data, renderer=renderer, root=loaded.root, stage_rows=_no_rows)  # type: ignore[union-attr]
        for row in Mixture(dataset, seed=loaded.recipe.seed).take(rows):
            messages = row.messages if found.type == "sft" else question(row)
            chat, thinking = to_chat(messages), any(message.reasoning for message in messages)
            typer.secho(f"\n{row.id} ({row.source or row.task}), answer {row.answer}", bold=True)
            if found.type == "sft":
                _print(renderer.conversation(chat, thinking=thinking), renderer)
            else:
                _print(renderer.prompt(chat, thinking=True), renderer)


def _stage(loaded: LoadedRecipe, name: str) -> Stage:
    from configs.faults import nearest

    stages = {stage.name: stage for stage in loaded.recipe.stages if hasattr(stage, "data")}
    if name not in stages:
        raise ConfigError(
            f"{name} is no stage with data of its own{nearest(name, stages)}: expected {', '.join(stages)}"
        )
    return stages[name]


def _no_rows(stage: str) -> Path:
    raise ConfigError(f"the rows come from the stage {stage}, which only a run makes; look at its rows.jsonl there")


def _renderer(loaded: LoadedRecipe, stage: Stage, folder: Path) -> Renderer:
    """The renderer of the policy that the recipe starts from, built if it is one to build."""
    from model.build import build
    from model.load import load_processor

    model = getattr(stage, "model", None) or loaded.recipe.model
    if model.path is not None:
        return load_processor(loaded.resolve(model.path))
    build(model.build, folder / "policy", seed=loaded.recipe.seed)
    return load_processor(folder / "policy")


def _print(rendered: Rendered, renderer: Renderer) -> None:
    """Print tokens in runs of the same mask."""
    ids, mask = rendered.token_ids, rendered.loss_mask
    ends = [*(t for t in range(1, len(ids)) if mask[t] != mask[t - 1]), len(ids)]
    start = 0
    for end in ends:
        learnt = bool(mask[start])
        text = renderer.decode(ids[start:end])
        typer.secho(text, fg=typer.colors.GREEN if learnt else None, dim=not learnt, nl=False)
        start = end
    typer.echo()
