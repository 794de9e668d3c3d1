"""A page as text on a terminal, a line a row: long texts are cut, and only the first rows of long tables shown."""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from rewards.sample import brief
from rewards.workbench.page import Cell, Page, Table, written

CUT = 120
GAP, NARROWEST = 2, 12
FILE_WIDTH = 10_000
"""Columns of a table that goes to a file or a pipe, where nothing is cut but texts beyond `CUT`."""
COLOURS = {"good": "green", "bad": "red", "warn": "yellow", "plain": ""}


def show(page: Page, console: Console, rows: int) -> None:
    """Print the page; at most `rows` rows of each table: all are in the HTML and the JSON."""
    console.print(f"[bold]{escape(page.title)}[/]  {escape(page.subtitle)}")
    if not console.is_terminal:
        console.width = max(console.width, FILE_WIDTH)
    names = max((len(figure.name) for figure in page.figures), default=0)
    for figure in page.figures:
        colour = COLOURS[figure.tone] or "default"
        console.print(f"  {figure.name:<{names}}  [{colour}]{escape(figure.value)}[/]  [dim]{escape(figure.remark)}[/]")
    for table in page.tables:
        console.print(f"\n[bold]{escape(table.title)}[/]  [dim]{escape(table.remark)}[/]")
        console.print(_table(table, rows, console.width))
        if len(table.rows) > rows:
            console.print(f"[dim]… and {len(table.rows) - rows} more: all are in --html FILE and --json[/]")


def _table(table: Table, rows: int, width: int) -> RichTable:
    """As wide as the terminal at most: columns of long texts share what the others leave."""
    texts = [[_text(row.cells[index]) for row in table.rows[:rows]] for index in range(len(table.columns))]
    needed = [max(map(cell_len, [name, *column])) for name, column in zip(table.columns, texts, strict=True)]
    long = [name in table.long for name in table.columns]
    left = width - GAP * len(needed) - sum(size for size, is_long in zip(needed, long, strict=True) if not is_long)
    share = max(NARROWEST, left // max(1, sum(long)))
    shown = RichTable(box=None, header_style="dim", pad_edge=False, padding=(0, GAP, 0, 0))
    for index, name in enumerate(table.columns):
        numeric = all(isinstance(row.cells[index], int | float | None) for row in table.rows)
        size = min(needed[index], share) if long[index] else needed[index]
        shown.add_column(escape(name), justify="right" if numeric else "left", no_wrap=True, width=size)
    for row, *cells in zip(table.rows, *texts, strict=False):
        shown.add_row(*map(escape, cells), style=COLOURS[row.tone])
    return shown


def _text(cell: Cell) -> str:
    """A cell on one line; what a terminal would act upon or hide is written as an escape."""
    line = brief(written(cell), CUT)
    return "".join(repr(c)[1:-1] if unicodedata.category(c)[0] == "C" else c for c in line)
