"""Rewards of the catalogue, as a list for people and as plain values for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from rewards.catalogue import Entry
from rewards.parameters import Parameter

FEW = 8
"""Parameters above which those that another reward has alike, as judges do, are not listed again."""
FORMS = {"single": "", "batch": ", in batches", "group": ", a prompt's answers together"}


def listed(entries: Iterable[Entry], console: Console) -> None:
    """Print each reward with its parameters; what cannot be used says why."""
    seen: dict[tuple[Parameter, ...], str] = {}
    for entry in entries:
        console.print(f"[bold]{escape(entry.name)}[/]  [dim]{escape(entry.where)}{FORMS[entry.form]}[/]")
        if entry.fault:
            _indented(f"[red]{escape(entry.fault)}[/]", 4, console)
        elif entry.summary:
            _indented(escape(entry.summary), 4, console)
        if len(entry.parameters) > FEW and entry.parameters in seen:
            _indented(f"[dim]parameters as those of {escape(seen[entry.parameters])}[/]", 8, console)
            continue
        seen[entry.parameters] = entry.name
        for parameter in entry.parameters:
            _indented(_parameter(parameter), 8, console)


def _indented(text: str, by: int, console: Console) -> None:
    """Print a text behind an indent: wrapped below itself on a terminal, on one line in a file."""
    console.print(Padding(text, (0, 0, 0, by)) if console.is_terminal else f"{' ' * by}{text}")


def _parameter(parameter: Parameter) -> str:
    default = "required" if parameter.default is None else f"default {parameter.default}"
    kind = "; ".join(filter(None, (parameter.type, default)))
    head = f"[cyan]{escape(parameter.name)}[/] [dim]({escape(kind)})[/]"
    return f"{head}  {escape(parameter.doc)}".rstrip()


def to_values(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [asdict(entry) for entry in entries]
