"""What every family of synthetic problems makes, and how the two splits are told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from halyard.data.drawing import Drawing

Split = Literal["train", "validation"]
VALIDATION_SHARE = 10
"""One question in this many belongs to validation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A question with its exact answer, the steps that lead to it, and the picture it is about.

    `reasoning` is None where there is nothing to reason about. Two problems are the same question exactly
    when text and drawing are equal: nothing in a drawing is random that the question does not depend on.

    >>> Problem(question="add the numbers.", answer="5", reasoning="2 + 3 = 5. so 5.").split in ("train", "validation")
    True
    """

    question: str
    answer: str
    reasoning: str | None = None
    drawing: Drawing | None = None
    key: str = field(init=False, repr=False, compare=False)
    """SHA-256 of the question's content, text and drawing, as hexadecimal; worked out once: every draw asks for it."""

    def __post_init__(self) -> None:
        """Work the key out."""
        content = json.dumps([self.question, self.drawing], sort_keys=True)
        object.__setattr__(self, "key", hashlib.sha256(content.encode()).hexdigest())

    @property
    def split(self) -> Split:
        """The only split that this question may appear in, whatever seed or difficulty made it."""
        return "validation" if int(self.key, 16) % VALIDATION_SHARE == 0 else "train"

    def lot(self, purpose: str) -> float:
        """A number in [0, 1) that belongs to this question, whatever else is made: for drawing shares of questions.

        Shares for different purposes have nothing to do with each other, nor with the split.
        """
        digest = hashlib.sha256(f"{purpose} {self.key}".encode()).digest()
        return int.from_bytes(digest[:6], "big") / 2**48

    @property
    def conclusion(self) -> str | None:
        """The last sentence of the reasoning.

        >>> Problem(question="add.", answer="5", reasoning="2 + 3 = 5. so 5.").conclusion
        'so 5.'
        """
        return self.reasoning and self.reasoning.removesuffix(".").rpartition(". ")[2] + "."


Generator = Callable[[Random, float], Problem]
"""Draws one problem of a difficulty from 0 to 1."""


def scaled(difficulty: float, easiest: int, hardest: int) -> int:
    """The whole number this far from the easiest to the hardest.

    >>> scaled(0.5, 9, 99)
    54
    """
    return round(easiest + difficulty * (hardest - easiest))


def another(random: Random, answer: str) -> str:
    """A wrong answer of the same unit, often one digit away.

    >>> another(Random(0), "7 m") != "7 m"
    True
    """
    number, *unit = answer.split(maxsplit=1)
    digits = list(number)
    place = random.randrange(len(digits))
    lowest = "1" if place == 0 and len(digits) > 1 else "0"
    digits[place] = random.choice([digit for digit in "0123456789" if digit != digits[place] and digit >= lowest])
    return " ".join(["".join(digits), *unit])


def running_total(parts: list[tuple[str, int]]) -> str:
    """Steps that add the named numbers one by one.

    >>> running_total([("red", 3), ("blue", 5), ("green", 2)])
    'red 3, blue 5 makes 8, green 2 makes 10'
    """
    total, steps = 0, []
    for name, value in parts:
        total += value
        steps.append(f"{name} {value} makes {total}" if steps else f"{name} {value}")
    return ", ".join(steps)
