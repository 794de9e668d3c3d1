"""Counting shapes of one colour among others, on a grid of four columns."""

from __future__ import annotations

from random import Random

from halyard.data.drawing import drawing, shape
from halyard.data.synthetic.problem import Problem, scaled

COLOURS = ("red", "blue", "green", "yellow")
SHAPES = ("circle", "square", "triangle")
COLUMNS = 4

Thing = tuple[str, str]


def generate(random: Random, difficulty: float) -> Problem:
    """How many things there are of a colour and shape; the others share one of the two, or neither."""
    rows = scaled(difficulty, 2, 4)
    wanted = (random.choice(COLOURS), random.choice(SHAPES))
    count = random.randint(1, scaled(difficulty, 3, 7))
    others = random.randint(1, scaled(difficulty, 2, 5))
    others = min(others, rows * COLUMNS - count)
    things = [wanted] * count + [_other(random, wanted) for _ in range(others)]
    cells = dict(zip(random.sample(range(rows * COLUMNS), len(things)), things, strict=True))
    marks = [shape(form, colour, row=i // COLUMNS, column=i % COLUMNS) for i, (colour, form) in sorted(cells.items())]
    return Problem(
        question=f"how many {wanted[0]} {wanted[1]}s?",
        answer=str(count),
        reasoning=f"{_tally(cells, wanted, rows)} so {count}.",
        drawing=drawing(marks),
    )


def _other(random: Random, wanted: Thing) -> Thing:
    while (thing := (random.choice(COLOURS), random.choice(SHAPES))) == wanted:
        pass
    return thing


def _tally(cells: dict[int, Thing], wanted: Thing, rows: int) -> str:
    """A look at every cell in reading order; each thing that is wanted raises the count."""
    count, lines = 0, []
    for row in range(rows):
        words = []
        for column in range(COLUMNS):
            if cells.get(row * COLUMNS + column) == wanted:
                count += 1
                words.append(f"yes {count}")
            else:
                words.append("no")
        lines.append(f"row {row + 1}: {' '.join(words)}.")
    return " ".join(lines)
