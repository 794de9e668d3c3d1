"""Pages of the documentation, taken at their word: the files they show, the commands they give, what those print."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"^```(\w+) ?([^\n]*)\n(.*?)^```$", flags=re.S | re.M)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, the note behind that, and its text."""

    language: str
    note: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A line after `$`, the lines that its output must have among others, and the code it ends with."""

    line: str
    shows: tuple[str, ...]
    code: int


def blocks(page: str, section: str = "") -> list[Block]:
    """The blocks of a page, or of one of its sections, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    if section:
        text = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [Block(*found) for found in _BLOCK.findall(text)]


def commands(block: Block) -> list[Command]:
    """The commands of a console block; a number behind its language is the code that they end with."""
    found = []
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        line, *shows = part.strip().split("\n")
        found.append(Command(line, tuple(" ".join(one.split()) for one in shows), int(block.note or 0)))
    return found
