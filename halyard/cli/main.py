"""The `halyard` command: a table of contents. Every command has a file of its own and loads what it needs late."""

from __future__ import annotations

from typing import Annotated

import typer

import halyard
from halyard.cli import adopt, chat, data, doctor, lineage, recipe, reward, run, runs, serve, snapshot, soup, status
from halyard.cli.shell import Commands
from halyard.cluster.origin import check_origin

app = typer.Typer(
    name="halyard",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"halyard {halyard.__version__}")
        raise typer.Exit


Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Version = Annotated[bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)]


@app.callback()
def root(debug: Debug = False, version: Version = False) -> None:  # noqa: ARG001 - `Commands` reads --debug
    """Post-training of vision-language policies: SFT, and RL with verifiable and judged rewards.

    Begin with `halyard doctor`, then `halyard run quickstart`.
    """
    check_origin()


app.command("run")(run.run)
app.command("status")(status.status)
app.command("chat")(chat.chat)
app.command("serve")(serve.serve)
app.command("soup")(soup.soup)
app.command("doctor")(doctor.doctor)
app.add_typer(recipe.app, name="recipe")
app.add_typer(reward.app, name="reward")
app.add_typer(runs.app, name="runs")
snapshot.app.command("lineage")(lineage.lineage)
snapshot.app.command("adopt")(adopt.adopt)
app.add_typer(snapshot.app, name="snapshot")
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command line; this is the console script."""
    app()


if __name__ == "__main__":
    main()
