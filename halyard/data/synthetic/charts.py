"""Bar charts: three or four bars of different colours, made of countable blocks."""

from __future__ import annotations

from random import Random

from halyard.data.drawing import CELL, SIZE, Drawing, Mark, drawing
from halyard.data.synthetic.problem import Problem, running_total, scaled

COLOURS = ("red", "blue", "green", "yellow")
BLOCK = 11
"""Pixels that a value of one is high."""
BASE = 106
"""Where the bars stand, in pixels from the top."""

Bars = list[tuple[str, int]]


def generate(random: Random, difficulty: float) -> Problem:
    """The largest value, the total, or the difference of two bars."""
    count = 4 if random.random() < difficulty else 3
    most = scaled(difficulty, 4, 9)
    bars = [(colour, random.randint(1, most)) for colour in random.sample(COLOURS, count)]
    ask = random.choice((_largest, _total, _difference))
    question, reasoning, answer = ask(random, bars)
    return Problem(
        question=question, answer=str(answer), reasoning=f"{reasoning}. so {answer}.", drawing=_picture(bars)
    )


def _largest(_: Random, bars: Bars) -> tuple[str, str, int]:
    top, steps = 0, []
    for colour, value in bars:
        top = max(top, value)
        steps.append(f"{colour} {value} top {top}")
    return "what is the largest value?", ", ".join(steps), top


def _total(_: Random, bars: Bars) -> tuple[str, str, int]:
    return "what is the total of all bars?", running_total(bars), sum(value for _, value in bars)


def _difference(random: Random, bars: Bars) -> tuple[str, str, int]:
    (high, more), (low, less) = sorted(random.sample(bars, 2), key=lambda bar: -bar[1])
    return f"what is {high} minus {low}?", f"{high} {more}, {low} {less}. {more} - {less} = {more - less}", more - less


def _picture(bars: Bars) -> Drawing:
    marks: list[Mark] = [{"line": [0, BASE + 1, SIZE, BASE + 1], "colour": "black", "width": 2}]
    for column, (colour, value) in enumerate(bars):
        left = column * CELL + 4
        for block in range(value):
            bottom = BASE - block * BLOCK
            marks.append({"box": [left, bottom - BLOCK + 1, left + CELL - 8, bottom], "colour": colour})
    return drawing(marks)
