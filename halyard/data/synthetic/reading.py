"""Reading the word or the number that is shown, one character to a grid cell."""

from __future__ import annotations

from random import Random

from halyard.data.drawing import drawing, glyphs
from halyard.data.synthetic.problem import Problem, scaled

WORDS = (
    "cat", "dog", "sun", "sea", "tree", "fish", "bird", "boat", "moon", "star", "rain", "snow",
    "wind", "fire", "rock", "leaf", "ship", "sail", "lake", "hill", "road", "door", "book", "lamp",
)  # fmt: skip
COLOURS = ("black", "red", "blue", "green")


def generate(random: Random, difficulty: float) -> Problem:
    """A common short word, or a number of more digits the harder it is."""
    if random.random() < 0.4:
        question, shown = "what word is shown?", random.choice(WORDS)
    else:
        digits = random.randint(1, scaled(difficulty, 2, 4))
        question, shown = "what number is shown?", str(random.randrange(10 ** (digits - 1), 10**digits))
    row, column = random.randrange(4), random.randint(0, 4 - len(shown))
    marks = glyphs(shown, row=row, column=column, colour=random.choice(COLOURS))
    return Problem(question=question, answer=shown, drawing=drawing(marks))
