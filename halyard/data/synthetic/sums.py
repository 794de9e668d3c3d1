"""Sums and differences in columns, as written by hand: one digit to a grid cell."""

from __future__ import annotations

from random import Random

from halyard.data.drawing import CELL, SIZE, Drawing, drawing, glyphs
from halyard.data.synthetic.problem import Problem, scaled


def generate(random: Random, difficulty: float) -> Problem:
    """A sum or a difference of two numbers, of one digit when easy and of two when hard."""
    most = scaled(difficulty, 9, 99)
    first, second = random.randint(1, most), random.randint(1, most)
    if random.random() < 0.5:
        return Problem(
            question="add the two numbers.",
            answer=str(first + second),
            reasoning=f"{first} + {second}. {_add(first, second)} so {first + second}.",
            drawing=_columns(first, "+", second),
        )
    first, second = max(first, second), min(first, second)
    return Problem(
        question="subtract the two numbers.",
        answer=str(first - second),
        reasoning=f"{first} - {second}. {_subtract(first, second)} so {first - second}.",
        drawing=_columns(first, "-", second),
    )


def _add(first: int, second: int) -> str:
    ones = first % 10 + second % 10
    carry, steps = ones // 10, f"ones {first % 10} + {second % 10} = {ones}"
    if max(first, second) < 10:
        return f"{steps}."
    tens = first // 10 + second // 10 + carry
    return f"{steps}{' carry 1' * carry}. tens {first // 10} + {second // 10}{' + 1' * carry} = {tens}."


def _subtract(first: int, second: int) -> str:
    borrow = int(first % 10 < second % 10)
    ones = first % 10 + 10 * borrow
    steps = f"ones {ones} - {second % 10} = {ones - second % 10}"
    if max(first, second) < 10:
        return f"{steps}."
    tens = first // 10 - second // 10 - borrow
    return f"{steps}{' borrow 1' * borrow}. tens {first // 10} - {second // 10}{' - 1' * borrow} = {tens}."


def _columns(first: int, sign: str, second: int) -> Drawing:
    upper, lower = str(first), str(second)
    marks = [
        *glyphs(upper, row=1, column=4 - len(upper)),
        *glyphs(sign, row=2, column=1),
        *glyphs(lower, row=2, column=4 - len(lower)),
        {"line": [CELL, 3 * CELL + 2, SIZE, 3 * CELL + 2], "colour": "black", "width": 3},
    ]
    return drawing(marks)
