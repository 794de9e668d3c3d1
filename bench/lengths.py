"""Policies that answer at chosen lengths: what a benchmark of rollouts needs and random weights cannot give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Literal

from configs.data import SyntheticSource
from halyard.data.rows import write_jsonl
from halyard.data.synthetic import make

Shape = Literal["short", "long-tailed"]
LONGEST = 160
"""Digits of the longest answer, one token each."""

DRAWS: dict[Shape, Callable[[Random], int]] = {
    "short": lambda random: random.randint(8, 16),
    # A median of 16 and a mean of 24, while one answer in a hundred is over 110: the straggler of each group.
    "long-tailed": lambda random: min(LONGEST, max(4, round(random.lognormvariate(2.8, 0.9)))),
}


def write_rows(path: Path, shape: Shape, *, rows: int, seed: int) -> None:
    """Write problems with images whose answers are random digits, as many as the shape draws.

    A policy trained on them learns how long to go on and nothing else, so every group has a spread of lengths.
    """
    random = Random(f"{shape} {seed}")
    problems = make(SyntheticSource(rows=rows, mode="direct", seed=seed))
    written = []
    for row in problems:
        digits = "".join(random.choice("0123456789") for _ in range(DRAWS[shape](random)))
        *question, answer = row.messages
        written.append(replace(row, messages=(*question, replace(answer, text=digits))))
    write_jsonl(path, written)
