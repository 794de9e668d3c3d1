"""Verdicts a second, beside plain math-verify, and what hostile answers cost: `python -m bench.rewards`.

Both grade the same answers: math-verify one after the other in this process's main thread, where its alarm works, as
its README does; ours a step of rollouts at a time, with two processes for what takes algebra. No text comes twice, so
that nothing is remembered, but in the last row, where eight samples of a prompt repeat each other as rollouts do.
"""

from __future__ import annotations

import asyncio
import logging
import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.answers import KINDS, PLAIN, Kind, groups, mixture
from bench.hostile import REFERENCE, hostile
from rewards.grader import Answered, Grader

WORKERS = 2
DEADLINE = 1.0
STEP = 256
"""Answers graded at a time."""
ROUNDS = 3
"""Times that each row is measured, with other answers; the median counts."""
IN_FLIGHT = 32
HOSTILE_SHARE = 0.01


async def ours(grader: Grader, answers: Sequence[Answered]) -> float:
    """Verdicts a second of this package."""
    began = time.perf_counter()
    for start in range(0, len(answers), STEP):
        await grader.grade(answers[start : start + STEP])
    return len(answers) / (time.perf_counter() - began)


def theirs(answers: Sequence[Answered]) -> float:
    """Verdicts a second of math-verify as its README uses it."""
    from math_verify import parse, verify

    began = time.perf_counter()
    for answer in answers:
        verify(parse(f"${answer.reference}$"), parse(answer.answer))
    return len(answers) / (time.perf_counter() - began)


async def compare(grader: Grader, name: str, kind: Kind, count: int) -> tuple[str, float, float]:
    """(name, ours, theirs) for one kind of answer, theirs on a share of the same answers."""
    mine, plain = [], []
    for i in range(ROUNDS):
        draw = random.Random(f"{name}{i}")
        answers = [one for _ in range(count) for one in kind(draw)]
        if kind is not groups:
            answers = [one._replace(answer=f"After step {n}, {one.answer}") for n, one in enumerate(answers)]
        mine.append(await ours(grader, answers))
        plain.append(theirs(answers[: max(60, len(answers) // 20)]))
    return name, statistics.median(mine), statistics.median(plain)


async def under_fire(grader: Grader, count: int) -> tuple[list[float], Counter[str], float]:
    """Seconds from question to verdict for each answer of a mixture with hostile ones; failures; verdicts a second."""
    draw = random.Random("fire")
    bad = [f"\\boxed{{{one}}}" for one in hostile()]
    asked = [
        Answered(draw.choice(bad), REFERENCE, "math") if draw.random() < HOSTILE_SHARE else mixture(draw)[0]
        for _ in range(count)
    ]
    seconds: list[float] = []
    failures: Counter[str] = Counter()
    waiting = asyncio.Semaphore(IN_FLIGHT)

    async def ask(answer: Answered) -> None:
        async with waiting:
            began = time.perf_counter()
            (judgement,) = await grader.grade([answer])
            seconds.append(time.perf_counter() - began)
            if judgement.score is None:
                failures[judgement.reason.partition(":")[0]] += 1

    began = time.perf_counter()
    await asyncio.gather(*map(ask, asked))
    return sorted(seconds), failures, count / (time.perf_counter() - began)


async def main() -> None:
    """Print the two tables."""
    logging.disable(logging.WARNING)
    grader = Grader(workers=WORKERS, deadline=DEADLINE)
    warm = [Answered(rf"\boxed{{\{{x+{i}, 1\}}}}", rf"\{{1, {i}+x\}}", "math") for i in range(20)]
    await grader.grade(warm)
    theirs(warm)
    table = Table(title="verdicts a second", title_justify="left")
    for heading in ("answers", "halyard", "math-verify", "ratio"):
        table.add_column(heading, justify="left" if heading == "answers" else "right")
    rows = [await compare(grader, name, kind, 1000 if name in PLAIN else 200) for name, kind in KINDS.items()]
    rows.append(await compare(grader, "all kinds, mixed", mixture, 2000))
    rows.append(await compare(grader, "mixed, 8 samples a prompt", groups, 250))
    for name, mine, plain in rows:
        table.add_row(name, f"{mine:,.0f}", f"{plain:,.0f}", f"{mine / plain:.0f}x")
    console = Console()
    console.print(table)
    seconds, failures, rate = await under_fire(grader, 5000)
    grader.close()
    p50, p99 = (seconds[int(share * len(seconds))] for share in (0.5, 0.99))
    console.print(
        f"with {HOSTILE_SHARE:.0%} hostile answers mixed in, {IN_FLIGHT} at a time: {rate:,.0f} verdicts a second; "
        f"median {1000 * p50:.1f} ms, p99 {1000 * p99:.1f} ms, longest {1000 * seconds[-1]:.0f} ms "
        f"(deadline {1000 * DEADLINE:.0f} ms); failed: {dict(failures) or 'none'}"
    )


if __name__ == "__main__":
    asyncio.run(main())
