"""The labelled tables, marked by us and by plain math-verify, and the other rewards: `python -m bench.accuracy`.

math-verify runs in this process's main thread, where its alarm works, and as its README uses it; it takes two minutes.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rewards.answer import grade
from rewards.catalogue import find
from rewards.registry import load
from rewards.sample import Sample
from rewards.structure import CLOSE, OPEN, split

TESTS = Path(__file__).parents[1] / "tests/unit/rewards"
TABLE, REWARDS = TESTS / "answers/cases.jsonl", TESTS / "verifiers/cases.jsonl"
THRESHOLD = 0.5
"""The least score of an answer that is called right."""
AGREEMENT = 1e-3
"""How far a score may be from one that the table gives as a number."""

Case = dict[str, Any]
Marks = dict[str, Counter[bool]]
"""How many cases of each kind were marked right (True) and wrong (False)."""


def cases(path: Path = TABLE) -> list[Case]:
    """The cases of a table: kind, task, reference, response, expected, and often a prompt and a note."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ours(case: Case) -> float | None:
    """The score of this package."""
    answer = split(case["response"], OPEN in case["response"]).answer
    return grade(answer, case["reference"], case["task"], case.get("prompt", "")).score


@cache
def _loaded(name: str, parameters: str) -> Callable[..., Any]:
    """A shipped reward with its parameters; kept, as to find it takes longer than to ask it."""
    place = find(name)
    return load(place.path, place.function, json.loads(parameters)).function


def rewarded(case: Case) -> float | None:
    """The score of the shipped reward that a case names."""
    judge = _loaded(case["reward"], json.dumps(case.get("parameters")))
    thinking = case.get("thinking", OPEN in case["response"])
    parts = split(case["response"], thinking)
    judgement = judge(
        Sample(
            prompt=case.get("prompt", ""),
            response=case["response"],
            reasoning=parts.reasoning,
            answer=parts.answer,
            reference=case["reference"],
            task=case.get("task", "exact"),
            thinking=thinking,
        )
    )
    return judgement if isinstance(judgement, float | int) else judgement.score


def agrees(score: float | None, expected: bool | float) -> bool:
    """Whether a score is what a table says: right, wrong, or a number."""
    if score is None:
        return False
    return (score >= THRESHOLD) == expected if isinstance(expected, bool) else abs(score - expected) <= AGREEMENT


def theirs(case: Case) -> float:
    """The score of math-verify, given what follows the reasoning."""
    from math_verify import parse, verify

    answer = case["response"].rpartition(CLOSE)[2]
    return float(verify(parse(f"${case['reference']}$"), parse(answer)))


def marked(table: Sequence[Case], judge: Callable[[Case], float | None]) -> Marks:
    """How often a judge says what the table says, by task and kind."""
    found: Marks = defaultdict(Counter)
    for case in table:
        name = f"{case['task']}: {case['kind']}" if "kind" in case else case["reward"]
        found[name][agrees(judge(case), case["expected"])] += 1
    return found


def share(marks: Marks, kinds: Sequence[str]) -> float:
    """The share of cases of some kinds that were marked right."""
    right = sum(marks[kind][True] for kind in kinds)
    return right / sum(marks[kind].total() for kind in kinds)


def printed(mine: Marks, plain: Marks | None = None) -> Table:
    """The shares, by kind and together."""
    table = Table(title="cases marked as a person marked them", title_justify="left")
    for heading in ("kind", "cases", "halyard", "math-verify")[: 3 if plain is None else 4]:
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    for name, kinds in [*((kind, [kind]) for kind in mine), ("all", list(mine))]:
        count = sum(mine[kind].total() for kind in kinds)
        shares = [f"{share(marks, kinds):.1%}" for marks in (mine, plain) if marks is not None]
        table.add_row(name, str(count), *shares)
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=TABLE, help="a table of cases, one JSON object a line")
    table = cases(parser.parse_args().file)
    logging.disable(logging.WARNING)
    Console().print(printed(marked(table, ours), marked(table, theirs)))
    Console().print(printed(marked(cases(REWARDS), rewarded)))


if __name__ == "__main__":
    main()
