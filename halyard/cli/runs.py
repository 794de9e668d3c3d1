"""`halyard runs`: runs operated over the API of `halyard serve`, from wherever that can be reached."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from halyard.cli import shell
from halyard.cli.api import Service, Url

app = typer.Typer(
    no_args_is_help=True, help="Start, watch and operate runs through a service.", rich_markup_mode="markdown"
)
HERE = "http://127.0.0.1:8000"
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's name.")]
Why = Annotated[str, typer.Option(help="A reason, which the run writes down.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
_COLOURS = {"running": "green", "finished": "green", "failed": "red", "gone": "red"}


@app.command("list")
def show_list(url: Url = HERE, as_json: Json = False) -> None:
    """List the runs, newest first.

    Example: `halyard runs list`
    """
    runs = Service(url).get("/runs")["data"]
    if as_json:
        _print_json(runs)
        return
    from rich.table import Table

    table = Table("run", "state", "stage", "step", "recipe", "changed", box=None, header_style="bold")
    for run in runs:
        stage = next((one for one in run["stages"] if one["name"] == run["stage"]), None)
        changed = time.strftime("%Y-%m-%d %H:%M", time.localtime(run["updated"]))
        table.add_row(run["name"], _state(run), run["stage"] or "", _step(stage), run["recipe"], changed)
    shell.show(table)


@app.command()
def show(run: Run, url: Url = HERE, as_json: Json = False) -> None:
    """Show a run: its stages, the keys that can be changed, and what it waits for.

    Example: `halyard runs show quickstart-001`
    """
    service = Service(url)
    view, keys = service.get(f"/runs/{run}"), service.get(f"/runs/{run}/keys")["data"]
    if as_json:
        _print_json(view)
        return
    from rich.table import Table

    shell.show(f"[bold]{view['name']}[/]  {_state(view)}  {view['why']}")
    table = Table("stage", "", "steps", "latest figures", box=None, header_style="bold")
    for stage in view["stages"]:
        figures = "  ".join(f"{name} {value:.4g}" for name, value in list(stage["figures"].items())[1:7])
        table.add_row(stage["name"], stage["state"], _step(stage), figures)
    shell.show(table)
    if keys:
        table = Table("live key", "value", "meaning", box=None, header_style="bold")
        for key in keys:
            table.add_row(key["key"], json.dumps(key["value"]), key["meaning"])
        shell.show(table)


@app.command()
def start(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe, or a YAML file over there.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes of the recipe.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the run.")] = None,
    url: Url = HERE,
) -> None:
    """Start a run on the service's machine; it goes on whatever becomes of the service.

    Example: `halyard runs start quickstart verifiable-rl.steps=60 --name short`
    """
    _tell(Service(url).post("/runs", recipe=recipe, overrides=overrides or [], name=name))


@app.command()
def pause(run: Run, why: Why = "", url: Url = HERE) -> None:
    """Have a run write a checkpoint after its step, and wait.

    Example: `halyard runs pause quickstart-001 --why "the night rate"`
    """
    _tell(Service(url).post(f"/runs/{run}/pause", why=why))


@app.command()
def resume(run: Run, why: Why = "", url: Url = HERE) -> None:
    """Have a paused run go on; start one that stopped, failed or died again from its newest checkpoint.

    Example: `halyard runs resume quickstart-001`
    """
    _tell(Service(url).post(f"/runs/{run}/resume", why=why))


@app.command()
def checkpoint(run: Run, why: Why = "", url: Url = HERE) -> None:
    """Have a run write a checkpoint after its step.

    Example: `halyard runs checkpoint quickstart-001`
    """
    _tell(Service(url).post(f"/runs/{run}/checkpoint", why=why))


@app.command()
def stop(run: Run, why: Why = "", url: Url = HERE) -> None:
    """Stop a run as Ctrl-C does: once finishes the step and writes a checkpoint, twice stops at once.

    Example: `halyard runs stop quickstart-001`
    """
    _tell(Service(url).post(f"/runs/{run}/stop", why=why))


@app.command("set")
def change(
    run: Run,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A live key of the stage that goes on.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Its new value, as in YAML.")],
    why: Why = "",
    url: Url = HERE,
) -> None:
    """Change a live key of a run; `halyard runs show RUN` lists them. It takes effect after the step.

    Example: `halyard runs set quickstart-001 optimizer.learning_rate 5e-3 --why "the reward stands still"`
    """
    from configs.text import read_text

    new = read_text(value, f"value {value}").value
    Service(url).post(f"/runs/{run}/set", key=key, value=new, why=why)
    typer.echo(f"{run} sets {key} to {json.dumps(new)} after its step; `halyard runs events {run}` says when")


@app.command()
def events(
    run: Run,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones, until Ctrl-C.")] = False,
    url: Url = HERE,
    as_json: Json = False,
) -> None:
    """Print what happened in a run, an event a line.

    Example: `halyard runs events quickstart-001 --follow`
    """
    service = Service(url)
    lines = (
        service.stream(f"/runs/{run}/events") if follow else service.get(f"/runs/{run}/events", most=10_000)["lines"]
    )
    for event in lines:
        typer.echo(json.dumps(event) if as_json else _event(event))


@app.command()
def rollouts(
    run: Run,
    stage: Annotated[str | None, typer.Option(help="Of this stage; the newest with any.")] = None,
    step: Annotated[int | None, typer.Option(min=1, help="Of this step.")] = None,
    min_reward: Annotated[float | None, typer.Option(help="With at least this reward.")] = None,
    max_reward: Annotated[float | None, typer.Option(help="With at most this reward.")] = None,
    task: Annotated[str | None, typer.Option(help="Of this task.")] = None,
    text: Annotated[str | None, typer.Option(help="With this in question or answer, in any case.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 20,
    url: Url = HERE,
    as_json: Json = False,
) -> None:
    """Print answers of a run, newest step first, with their verdicts.

    Example: `halyard runs rollouts quickstart-001 --max-reward 0 --text circle`
    """
    query = {"first_step": step, "last_step": step, "min_reward": min_reward, "max_reward": max_reward}
    service, after, left = Service(url), None, limit
    while left > 0:
        asked = {**query, "stage": stage, "task": task, "text": text, "limit": left, "after": after}
        page = service.get(f"/runs/{run}/rollouts", **asked)
        for one in page["rollouts"]:
            typer.echo(json.dumps(one) if as_json else _rollout(one))
        left, after = left - len(page["rollouts"]), page["next"]
        if after is None:
            return
    print(f"there are more: raise --limit {limit}", file=sys.stderr)


def _tell(run: Mapping[str, Any]) -> None:
    stage = next((one for one in run["stages"] if one["name"] == run["stage"]), None)
    about = f" ({run['stage']} {_step(stage)})" if stage else ""
    typer.echo(f"{run['name']} is {run['state']}{about}; `halyard runs show {run['name']}` says more")


def _state(run: Mapping[str, Any]) -> str:
    return f"[{_COLOURS.get(run['state'], 'yellow')}]{run['state']}[/]"


def _step(stage: Mapping[str, Any] | None) -> str:
    return f"{stage['step']}/{stage['steps']}" if stage and stage["steps"] is not None else ""


def _event(event: Mapping[str, Any]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["time"]))
    about = "  ".join(f"{name} {value}" for name, value in event.items() if name not in ("time", "event", "checks"))
    return f"{when}  {event['event']:<14} {about}"


def _rollout(one: Mapping[str, Any]) -> str:
    reward = "failed" if one["reward"] is None else f"{one['reward']:.3g}"
    head = f"{one['stage']} step {one['step']}  {one['prompt_id']} #{one['index']}  reward {reward}  {one['reason']}"
    return f"{head}\n  Q: {one['question']}\n  A: {one['text']}\n"


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))
