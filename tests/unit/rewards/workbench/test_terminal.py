"""Pages as text: cut to a terminal, whole in a pipe."""

from __future__ import annotations

import io

from rich.console import Console

from rewards.workbench.page import Page, Row, Table
from rewards.workbench.terminal import CUT, show

CELLS = tuple(f"{letter * 40}" for letter in "abcdefgh")
PAGE = Page(
    title="t",
    subtitle="",
    figures=[],
    tables=[
        Table(title="x", columns=tuple("abcdefghi"), rows=[Row((*CELLS, "long " * 60))], long=frozenset("i")),
    ],
)


def printed(console: Console) -> str:
    show(PAGE, console, rows=5)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_pipe_gets_whole_rows() -> None:
    text = printed(Console(file=io.StringIO(), soft_wrap=True, width=80))
    (line,) = [line for line in text.splitlines() if CELLS[0] in line]
    assert all(cell in line for cell in CELLS)
    assert len(line.partition(CELLS[-1])[2].strip()) == CUT


def test_a_terminal_gets_lines_that_fit() -> None:
    text = printed(Console(file=io.StringIO(), force_terminal=True, color_system=None, width=100))
    assert max(map(len, text.splitlines())) <= 100
