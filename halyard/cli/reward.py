"""`halyard reward`: the workbench. Rewards are listed, tried on cases, attacked, compared, and replayed on old runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halyard.cli.shell import FAILED, console, tell
from halyard.cli.status import find_run
from halyard.errors import ConfigError

if TYPE_CHECKING:
    from rewards.workbench.cases import Case
    from rewards.workbench.page import Page

app = typer.Typer(no_args_is_help=True, help="Try rewards at the desk.", rich_markup_mode="markdown")

RewardName = Annotated[
    str, typer.Argument(metavar="NAME", help="A shipped reward, FILE.py:FUNCTION, or a recipe (RECIPE:STAGE).")
]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", metavar="KEY=VALUE", help="Set a parameter of the reward.")
]
JudgeUrl = Annotated[str | None, typer.Option("--judge", metavar="URL", help="Where judges without a URL are asked.")]
Cases = Annotated[Path | None, typer.Option("--file", "-f", metavar="CASES", help="Cases, one JSON object a line.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsHtml = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page that needs nothing else.")]
Threshold = Annotated[float, typer.Option(help="A reward from here on says that a response is right.")]
Rows = Annotated[int, typer.Option("-n", "--rows", min=1, help="Rows of a table on the terminal.")]


@app.callback()
def root() -> None:
    """Try rewards at the desk, before a run pays for them."""


@app.command("list")
def show_list(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One reward; all if left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """List rewards with what they pay for, and their parameters: those that ship, and those of installed packages.

    Example: `halyard reward list`
    """
    from rewards import catalogue
    from rewards.workbench.listing import listed, to_values

    entries = catalogue.entries() if name is None else [catalogue.entry(name)]
    if as_json:
        typer.echo(json.dumps(to_values(entries), indent=2, ensure_ascii=False))
    else:
        listed(entries, console())


@app.command()
def score(
    name: RewardName,
    file: Cases = None,
    answer: Annotated[str | None, typer.Option(help="A final answer; put in a box if its task wants one.")] = None,
    response: Annotated[str | None, typer.Option(help="A whole response, as it is.")] = None,
    reference: Annotated[str | None, typer.Option(help="The right answer.")] = None,
    task: Annotated[str, typer.Option(help="How it is compared: math, stem, exact or open.")] = "math",
    prompt: Annotated[str, typer.Option(help="The question.")] = "",
    parameter: Parameters = None,
    judge: JudgeUrl = None,
    threshold: Threshold = 0.5,
    gate: Annotated[float | None, typer.Option(min=0, max=1, help="Exit with 1 below this accuracy.")] = None,
    as_json: AsJson = False,
    html: AsHtml = None,
    rows: Rows = 20,
) -> None:
    """Judge cases: verdicts with reasons, and, where cases are labelled, what is right and what is not.

    Example: `halyard reward score math --answer 0.5 --reference 1/2`
    """
    import asyncio

    from rewards.workbench import labels, scored_page, trial

    given = _cases(file, answer, response, reference, task, prompt)
    scored, seconds = asyncio.run(trial.score_cases(name, given, _values(parameter), judge=judge, threshold=threshold))
    page = scored_page.score_page(name, scored, seconds)
    _tell(page, scored_page.score_values(name, scored, seconds), as_json=as_json, html=html, rows=rows)
    _gate(labels.tally(scored).accuracy, gate)


@app.command()
def probe(
    name: RewardName,
    file: Cases = None,
    parameter: Parameters = None,
    judge: JudgeUrl = None,
    as_json: AsJson = False,
    html: AsHtml = None,
    rows: Rows = 20,
) -> None:
    """Try to earn a reward without the answer; exit with 1 if something does.

    Right and wrong answers to a few questions show what the reward pays for; attacks on the same questions must earn
    no more than the wrong ones. Questions of your own are the cases of --file whose expected is true.

    Example: `halyard reward probe my_rewards.py:concise`
    """
    import asyncio

    from rewards.workbench import cases, probed_page, questions, trial

    asked = questions.QUESTIONS if file is None else questions.questions_from(cases.read(file))
    if not asked:
        raise ConfigError(f"{file} has no case whose expected is true: there is nothing to build attacks on")
    with console().status(f"Attacking {name} ..."):
        found, seconds = asyncio.run(trial.probe_reward(name, _values(parameter), questions=asked, judge=judge))
    page = probed_page.probe_page(found, seconds)
    _tell(page, probed_page.probe_values(found, seconds), as_json=as_json, html=html, rows=rows)
    if found.earned:
        raise typer.Exit(FAILED)


@app.command()
def compare(
    first: RewardName,
    second: RewardName,
    file: Annotated[Path, typer.Option("--file", "-f", metavar="CASES", help="Cases, one JSON object a line.")],
    judge: JudgeUrl = None,
    threshold: Threshold = 0.5,
    as_json: AsJson = False,
    html: AsHtml = None,
    rows: Rows = 20,
) -> None:
    """Show where two rewards disagree, and which of them is right where cases are labelled.

    Example: `halyard reward compare math my_rewards.py:concise --file cases.jsonl`
    """
    import asyncio

    from rewards.workbench import cases, compared_page, trial

    given, names = cases.read(file), (first, second)
    found = asyncio.run(trial.compare_rewards(names, given, judge=judge, threshold=threshold))
    page = compared_page.compare_page(names, found)
    _tell(page, compared_page.compare_values(names, found), as_json=as_json, html=html, rows=rows)


@app.command()
def replay(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.")],
    name: RewardName,
    stage: Annotated[str | None, typer.Option(help="Whose rollouts; the last RL stage's if left out.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Only so many steps, evenly spread.")] = None,
    runs: Annotated[Path, typer.Option(help="The folder of all runs.", file_okay=False)] = Path("runs"),
    parameter: Parameters = None,
    judge: JudgeUrl = None,
    as_json: AsJson = False,
    html: AsHtml = None,
    rows: Rows = 10,
) -> None:
    """Judge a run's rollouts again with a changed reward, and show what would have differed.

    Example: `halyard reward replay quickstart-001 my_rewards.py:concise --stage verifiable-rl --steps 10`
    """
    import asyncio

    from rewards.workbench import replay as replaying
    from rewards.workbench import replayed_page, trial

    folder = find_run(run, runs)
    rollouts = replaying.rl_stage(folder, stage)
    with console().status("Judging ...") as status:
        found, seconds = asyncio.run(
            trial.replay_run(
                rollouts,
                name,
                _values(parameter),
                steps=steps,
                judge=judge,
                progress=lambda count: status.update(f"Judging: {count} rollouts ..."),
            )
        )
    page = replayed_page.replay_page(name, folder.name, found, seconds)
    _tell(page, replayed_page.replay_values(name, folder.name, found, seconds), as_json=as_json, html=html, rows=rows)


def _cases(
    file: Path | None, answer: str | None, response: str | None, reference: str | None, task: str, prompt: str
) -> list[Case]:
    """The cases of a file, or the one on the command line.

    Raises:
        ConfigError: there are both, or neither.
    """
    from rewards.workbench import cases

    if file is None:
        return [cases.single(answer=answer, response=response, reference=reference, task=task, prompt=prompt)]
    if answer is not None or response is not None or reference is not None:
        raise ConfigError("--file has the cases: leave out --answer, --response and --reference")
    return cases.read(file)


def _values(parameters: Sequence[str] | None) -> dict[str, Any]:
    """Parameters as they are typed: `limit=30` is a number.

    Raises:
        ConfigError: one is not KEY=VALUE, or its value is not YAML.
    """
    from configs.text import read_text

    values = {}
    for text in parameters or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"the parameter {text!r} has the wrong form, expected KEY=VALUE, as in limit=30")
        values[key] = read_text(value, f"--parameter {text}").value
    return values


def _tell(page: Page, values: dict[str, Any], *, as_json: bool, html: Path | None, rows: int) -> None:
    """Show a page: as HTML in a file, as JSON, or on the terminal."""
    if html is not None:
        if not html.absolute().parent.is_dir():
            raise ConfigError(f"there is no folder {html.absolute().parent} to write {html.name} to")
        from halyard.runs.atomic import write_text
        from rewards.workbench.html_page import to_html

        write_text(html, to_html(page))
        typer.echo(f"written to {html}", err=as_json)
    if as_json:
        from halyard.runs.atomic import plain

        typer.echo(json.dumps(plain(values), indent=2, ensure_ascii=False))
    else:
        from rewards.workbench.terminal import show

        show(page, console(), rows)


def _gate(accuracy: float | None, gate: float | None) -> None:
    """Nothing, when the accuracy passes the gate.

    Raises:
        ConfigError: no case is labelled.
        typer.Exit: it does not pass.
    """
    if gate is None:
        return
    if accuracy is None:
        raise ConfigError("--gate needs labelled cases: none of these has an expected")
    if accuracy < gate:
        tell(f"accuracy {accuracy:.2%} is below the gate of {gate:.2%}")
        raise typer.Exit(FAILED)
