"""Verdicts a second, beside plain math-verify: `python -m bench.rewards`.

Both grade the same answers, one after the other, with one process at work. math-verify runs in this process's
main thread, where its alarm works; ours decides what it can here and sends the rest to one killable process.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from rewards.grader import Answered, Grader

GROUP = 8
"""Answers graded at a time, as a group of rollouts is."""


def numbers(draw: random.Random) -> Answered:
    """A whole number, right half of the time."""
    number = draw.randrange(1000)
    return Answered(rf"so it is \boxed{{{number + draw.randrange(2)}}}", str(number), "math")


def words(draw: random.Random) -> Answered:
    """A word, right half of the time."""
    return Answered(rf"\boxed{{\text{{{draw.choice(('even', 'odd'))}}}}}", "even", "math")


def quantities(draw: random.Random) -> Answered:
    """A figure with a unit."""
    number = draw.randrange(1000)
    return Answered(rf"\boxed{{{number}\text{{ m/s}}}}", f"{number + draw.randrange(2)} m/s", "stem")


def fractions(draw: random.Random) -> Answered:
    """A fraction, written otherwise."""
    top, bottom = draw.randrange(1, 100), draw.randrange(2, 100)
    return Answered(rf"\boxed{{\frac{{{2 * top}}}{{{2 * bottom}}}}}", f"{top}/{bottom + draw.randrange(2)}", "math")


def expressions(draw: random.Random) -> Answered:
    """A polynomial to multiply out: this takes algebra."""
    a, b = draw.randrange(1, 30), draw.randrange(1, 30)
    return Answered(rf"\boxed{{(x+{a})(x+{b})}}", f"x^2+{a + b}x+{a * b + draw.randrange(2)}", "math")


def mixture(draw: random.Random) -> Answered:
    """Nine in ten decided by strings and numbers, as in the usual data sets of short answers."""
    kinds: list[Callable[[random.Random], Answered]] = [numbers, words, quantities, fractions, expressions]
    return draw.choices(kinds, weights=(4, 1, 2, 2, 1))[0](draw)


KINDS = (
    ("numbers", numbers, 2000),
    ("words", words, 2000),
    ("quantities", quantities, 2000),
    ("fractions", fractions, 2000),
    ("expressions", expressions, 200),
    ("mixture", mixture, 1000),
)


async def ours(grader: Grader, answers: Sequence[Answered]) -> float:
    """Verdicts a second of this package."""
    began = time.perf_counter()
    for start in range(0, len(answers), GROUP):
        await grader.grade(answers[start : start + GROUP])
    return len(answers) / (time.perf_counter() - began)


def theirs(answers: Sequence[Answered]) -> float:
    """Verdicts a second of math-verify as its README uses it."""
    from math_verify import parse, verify

    began = time.perf_counter()
    for answer, reference, _ in answers:
        verify(parse(f"${reference}$"), parse(answer))
    return len(answers) / (time.perf_counter() - began)


async def main() -> None:
    """Print the table."""
    logging.disable(logging.WARNING)
    grader = Grader(workers=1, deadline=1.0)
    warm = Answered(r"\boxed{x + 1}", "1 + x", "math")
    await grader.grade([warm])
    theirs([warm])
    table = Table(title="verdicts a second", title_justify="left")
    for heading in ("answers", "halyard", "math-verify", "ratio"):
        table.add_column(heading, justify="left" if heading == "answers" else "right")
    for name, kind, count in KINDS:
        draw = random.Random(0)
        answers = [kind(draw) for _ in range(count)]
        mine, plain = await ours(grader, answers), theirs(answers[: max(100, count // 4)])
        table.add_row(name, f"{mine:,.0f}", f"{plain:,.0f}", f"{mine / plain:.1f}x")
    grader.close()
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
