"""`halyard doctor`: what this machine has, and what to do about what it lacks."""

from __future__ import annotations

from typing import Annotated

import typer

from halyard.cli.shell import FAILED, console

MARKS = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "problem": "[red]problem[/]"}


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Skip the imports and starts, which take a minute.")] = False,
) -> None:
    """Look at the machine: cores, memory, GPUs, versions, and whether torch, vLLM, Ray and DeepSpeed start.

    Each line is ok, a warning or a problem, with what to do. The exit code is 1 when there is a problem.

    Example: `halyard doctor --quick`
    """
    from rich.markup import escape

    from halyard.cli.examination import examinations

    screen = console()
    problems = 0
    for title, examine in examinations(quick=quick):
        with screen.status(f"{title} ..."):
            finding = examine()
        screen.print(f"{MARKS[finding.level]}  [bold]{title:<12}[/] {escape(finding.found)}")
        if finding.advice:
            screen.print(f"{'':21} {escape(finding.advice)}", style="dim" if finding.level == "ok" else "")
        problems += finding.level == "problem"
    screen.print("\nThis machine is ready." if not problems else f"\n{problems} to be solved before a run.")
    if problems:
        raise typer.Exit(FAILED)
