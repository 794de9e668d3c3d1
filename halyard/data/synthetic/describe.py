"""General instructions about simple pictures: name the colour or the shape, or write a short caption."""

from __future__ import annotations

from random import Random

from halyard.data.drawing import Mark, drawing, shape
from halyard.data.synthetic.counting import COLOURS, SHAPES
from halyard.data.synthetic.problem import Problem

NUMBERS = ("no", "one", "two", "three", "four")


def generate(random: Random, difficulty: float) -> Problem:
    """A colour, a shape, or a caption; harder captions name two kinds of things, one above the other."""
    ask = random.random()
    if ask < 0.5:
        return _caption(random, difficulty)
    colour, form = random.choice(COLOURS), random.choice(SHAPES)
    marks = _group(random, colour, form, random.randint(1, 4), random.randrange(4))
    if ask < 0.75:
        return Problem(question="what colour is it?", answer=colour, drawing=drawing(marks))
    return Problem(question="what shape is it?", answer=form, drawing=drawing(marks))


def _caption(random: Random, difficulty: float) -> Problem:
    groups = 2 if random.random() < difficulty else 1
    things = random.sample([(colour, form) for colour in COLOURS for form in SHAPES], groups)
    lines = sorted(random.sample(range(4), groups))
    marks, words = [], []
    for (colour, form), line in zip(things, lines, strict=True):
        count = random.randint(1, 4)
        marks += _group(random, colour, form, count, line)
        words.append(f"{NUMBERS[count]} {colour} {form}{'s' * (count > 1)}")
    return Problem(question="describe the picture.", answer=" above ".join(words), drawing=drawing(marks))


def _group(random: Random, colour: str, form: str, count: int, row: int) -> list[Mark]:
    """Marks of equal things in random cells of one row of the grid."""
    columns = sorted(random.sample(range(4), count))
    return [shape(form, colour, row=row, column=column) for column in columns]
