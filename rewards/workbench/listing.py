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

FORMS = {"single": "", "batch": ", in batches", "group": ", a prompt's answers together"}


def listed(entries: Iterable[Entry], console: Console) -> None:
    """Print each reward with its parameters; what cannot be used says why."""
    for entry in entries:
        console.print(f"[bold]{escape(entry.name)}[/]  [dim]{escape(entry.where)}{FORMS[entry.form]}[/]")
        if entry.fault:
            console.print(Padding(f"[red]{escape(entry.fault)}[/]", (0, 0, 0, 4)))
        elif entry.summary:
            console.print(Padding(escape(entry.summary), (0, 0, 0, 4)))
        for parameter in entry.parameters:
            console.print(Padding(_parameter(parameter), (0, 0, 0, 8)))


def _parameter(parameter: Parameter) -> str:
    default = "required" if parameter.default is None else f"= {parameter.default}"
    head = f"[cyan]{escape(parameter.name)}[/] [dim]{escape(f'{parameter.type} {default}'.strip())}[/]"
    return f"{head}  {escape(parameter.doc)}".rstrip()


def to_values(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [asdict(entry) for entry in entries]
