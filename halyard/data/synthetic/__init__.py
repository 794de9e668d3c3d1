"""Problems made on the spot: seeded, exact, with drawn pictures and step-by-step reasoning.

| family   | shown                      | asked                                  | task  |
|----------|----------------------------|----------------------------------------|-------|
| sum      | two numbers in columns     | their sum or difference                | math  |
| chart    | three or four bars         | largest, total, difference             | math  |
| count    | shapes on a grid           | how many of a colour and shape         | math  |
| table    | two or three rows, columns | a cell, sum of a row or column, difference | math  |
| stem     | nothing, words alone       | speed, distance, density, conversion   | stem  |
| describe | shapes                     | the colour, the shape, a caption       | exact |
| read     | a word or a number         | what is written                        | exact |
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal

from halyard.data.synthetic import charts, counting, describe, reading, stem, sums, tables
from halyard.data.synthetic.problem import Generator, Problem, Split, another
from halyard.data.types import ImageRef, Message, Row
from halyard.errors import DataError
from halyard.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from configs.data import SyntheticSource

Mode = Literal["thinking", "direct"]
Trace = Literal["whole", "brief", "hasty"]
PATIENCE = 20
"""Draws without a new question after which questions may come again: the family has too few at this difficulty."""
TRIES = 20_000
"""Draws after which there is no such question: at the least difficulty, a family has few."""


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of problem: how it is drawn, how it is judged, whether its answer is boxed."""

    generate: Generator
    task: Task

    @property
    def boxed(self) -> bool:
        r"""Whether the answer is written in `\boxed{}`; a plain text answer is not."""
        return self.task != "exact"


FAMILIES: dict[str, Family] = {
    "sum": Family(sums.generate, "math"),
    "chart": Family(charts.generate, "math"),
    "count": Family(counting.generate, "math"),
    "table": Family(tables.generate, "math"),
    "stem": Family(stem.generate, "stem"),
    "describe": Family(describe.generate, "exact"),
    "read": Family(reading.generate, "exact"),
}


def make(source: SyntheticSource) -> list[Row]:
    """The rows of a synthetic source, its families in turn.

    The problems of a family depend on seed, split, part, difficulty and the family alone: not on the mode, nor on
    the families beside it. A question comes twice only where a family has too few at this difficulty.

    Raises:
        DataError: a family has no question in the part that is asked for.
    """
    streams = {
        name: problems(name, source.split, source.difficulty, source.seed, source.part) for name in source.families
    }
    rows = []
    for i in range(source.rows):
        family = source.families[i % len(source.families)]
        index = i // len(source.families)
        row_id = f"{family}-{source.split}-{source.difficulty}-{source.seed}-{index}-{source.mode}"
        problem = next(streams[family])
        rows.append(to_row(problem, family, mode=source.mode, row_id=row_id, trace=_trace(problem, source)))
    return rows


def _trace(problem: Problem, source: SyntheticSource) -> Trace:
    """How the problem is reasoned about in this source: the same way wherever the question comes again."""
    lot = problem.lot("brief")
    if lot < source.brief:
        return "brief"
    return "hasty" if lot < source.brief + source.hasty else "whole"


def problems(
    family: str, split: Split, difficulty: float, seed: int, part: tuple[float, float] = (0.0, 1.0)
) -> Iterator[Problem]:
    """Endless problems of one family and split, deterministic in all five.

    Raises:
        DataError: the family has no question in this part of the split.
    """
    random = Random(f"{family} {split} {difficulty} {seed}")
    seen: set[str] = set()
    while True:
        problem = _draw(family, split, difficulty, part, random)
        for _ in range(PATIENCE):
            if problem.key not in seen:
                break
            problem = _draw(family, split, difficulty, part, random)
        seen.add(problem.key)
        yield problem


def _draw(family: str, split: Split, difficulty: float, part: tuple[float, float], random: Random) -> Problem:
    for _ in range(TRIES):
        problem = FAMILIES[family].generate(random, difficulty)
        if problem.split == split and part[0] <= problem.lot("part") < part[1]:
            return problem
    raise DataError(
        f"the family {family} has no question of the {split} split in part {part[0]:g} to {part[1]:g} at difficulty "
        f"{difficulty:g}: take a larger part, or another difficulty"
    )


def to_row(problem: Problem, family: str, *, mode: Mode, row_id: str, trace: Trace = "whole") -> Row:
    r"""The problem as a conversation.

    Thinking: the reasoning (of a `brief` trace its last sentence, of a `hasty` one a wrong last sentence), then the
    answer that follows from it; direct: the answer alone. The answer is in `\boxed{}` but for general families, which
    have no reasoning in either mode.
    """
    kind = FAMILIES[family]
    images = (ImageRef(drawing=problem.drawing),) if problem.drawing else ()
    reasoning, answer = _reasoned(problem, trace) if mode == "thinking" else (None, problem.answer)
    text = rf"\boxed{{{answer}}}" if kind.boxed else answer
    return Row(
        id=row_id,
        messages=(
            Message(role="user", text=problem.question, images=images),
            Message(role="assistant", text=text, reasoning=reasoning),
        ),
        answer=problem.answer,
        task=kind.task,
        family=family,
        source="synthetic",
    )


def _reasoned(problem: Problem, trace: Trace) -> tuple[str | None, str]:
    """The reasoning of a trace and the answer that it comes to; a hasty one errs alike whenever it is made."""
    if problem.reasoning is None or trace == "whole":
        return problem.reasoning, problem.answer
    assert problem.conclusion is not None, "what is reasoned about has a last sentence"
    if trace == "brief":
        return problem.conclusion, problem.answer
    wrong = another(Random(problem.key), problem.answer)
    return problem.conclusion.replace(problem.answer, wrong), wrong
