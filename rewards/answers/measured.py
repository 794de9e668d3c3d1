r"""References that are numbers: which figures and units an answer may give for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from halyard.tasks import Task
from rewards.answers.kind import Decide
from rewards.answers.lists import split
from rewards.answers.quantities import Quantity, closed_number, quantity
from rewards.answers.units import ANGLE, NONE
from rewards.answers.words import words
from rewards.identity import value
from rewards.normal import TEXT_MARK, compact, spaced, unassigned

TOLERANCE = 0.01
"""Relative difference up to which figures of stem answers are the same."""
AGREEMENT = 1e-12
"""Relative difference up to which numbers of mathematics are the same."""
CONVERSION = 1e-6
"""The same after a conversion of units, whose factors are themselves rounded."""
LARGEST_UNCERTAINTY = 0.05
"""Relative uncertainty up to which `9.8 ± 0.1` still commits to 9.8."""

_LEAD = re.compile(
    rf"^[{TEXT_MARK} ]*(?:(?:in |the |year |p[HK] |about |approximately |approx\.? |around |约|大约)+"
    r"|\\approx ?|\\sim ?)",
    re.IGNORECASE,
)
_FALLS = ("decrease", "drop", "fall", "loss", "reduction", "decline")
_CHANGE = re.compile(
    rf"^[{TEXT_MARK} ]*(?:an? )?({'|'.join(_FALLS)}|increase|rise|gain|growth) of[{TEXT_MARK} ]+", re.IGNORECASE
)
_DIRECTION = re.compile(
    rf"(?<=[a-zA-Z}}\d]),?[{TEXT_MARK} ]+(?:(?:directed|pointing|acting|vertically|horizontally)[{TEXT_MARK} ]+)+"
    r"(?:(?:to|towards?|in|along)[ ~]+)?(?:the[ ~]+)?[a-z]+(?:[ ~]+(?:direction|axis))?$"
)
"""Which way something points, where only its size is asked for."""
_SAID_AGAIN = re.compile(rf",?[\s{TEXT_MARK}]+(?:or|i\.e\.,?|that is,?)(?: equivalently,?)?[\s{TEXT_MARK}]+")
_CHAIN = re.compile(r"\\approx(?![a-zA-Z])|\\simeq(?![a-zA-Z])|\\equiv(?![a-zA-Z])|(?<![<>!=])=(?!=)")
_ANOTHER = re.compile(r"(?<![a-zA-Z\\])(?:and|or|not|discard|reject|except)(?![a-zA-Z])|,\s*\\?[a-zA-Z]+$")
"""What makes a link two: `x = 3 and y = 12` is no chain."""
_PROSE = re.compile(r"(?<![\\a-zA-Z])(?!sqrt|sin|cos|tan|log|arc|frac)(?:[a-zA-Z]{4,}|to|or)(?![a-zA-Z])|[一-鿿①-⓿]")
_YEARS = range(1500, 2100)


@dataclass(frozen=True, slots=True)
class Measured:
    """A reference that is a number, with or without a unit.

    `percent` says whether a percentage may stand for the bare number: 25% for 25.
    """

    text: str
    quantity: Quantity
    task: Task
    tolerance: float = TOLERANCE
    percent: bool = True

    def same(self, answer: str, decide: Decide) -> bool | None:
        """Whether the answer is this quantity; a chain of equals must not contradict itself."""
        if not self.quantity.value and self.task == "stem" and words(answer) == "none":
            return True
        text = _DIRECTION.sub("", _LEAD.sub("", spaced(answer)))
        if change := _CHANGE.match(text):
            return self._same_change(change[1].lower(), text[change.end() :])
        found = quantity(text, self.task)
        if found is not None:
            return self.equals(found)
        if _SAID_AGAIN.search(text):
            return self._said_again([part.strip(f" {TEXT_MARK}") for part in _SAID_AGAIN.split(text)])
        links = [link.strip(f" {TEXT_MARK}") for link in _CHAIN.split(text)]
        if len(links) > 1:
            return self._same_chain(links, decide)
        if self.task == "stem" and "\\pm" in text:
            return self._same_uncertain(text)
        left = unassigned(compact(text))
        if value(left) is not None or len(left) == 1 or _PROSE.search(text) or len(split(text).texts) > 1:
            return False
        return decide(left, self.text)

    def _said_again(self, parts: list[str]) -> bool:
        """`3/10, or 30%` says one thing twice; `3/10 or 7/10` commits to nothing."""
        found = [one for part in parts if (one := quantity(part, self.task))]
        if len(found) != len(parts) or not all(map(self.equals, found)):
            return False
        sizes = [float(one.value) * one.unit.factor for one in found]
        return all(abs(size - sizes[0]) <= AGREEMENT * abs(sizes[0]) for size in sizes)

    def _same_change(self, change: str, size: str) -> bool:
        """`a decrease of 2.3%` is 2.3% less, or a change of -2.3%."""
        found = quantity(size, self.task)
        if found is None:
            return False
        falls = change in _FALLS and self.quantity.value < 0
        return self.equals(found._replace(value=-found.value) if falls else found)

    def _same_chain(self, links: list[str], decide: Decide) -> bool | None:
        if any(_ANOTHER.search(link) and quantity(link, self.task) is None for link in links[:-1]):
            return False
        numbers = [found for link in links[:6] if (found := quantity(link, self.task))]
        if any(not _roughly(one, numbers[0]) for one in numbers[1:]):
            return False
        if any(self.equals(one) for one in numbers):
            return True
        return False if numbers else decide(compact(links[-1]), self.text)

    def _same_uncertain(self, text: str) -> bool:
        """`9.8 ± 0.1` commits to 9.8, `42 ± 100` to nothing."""
        middle, _, spread = text.partition("\\pm")
        spread_found = quantity(spread.strip(), self.task)
        if spread_found is None:
            return False
        number = closed_number(compact(middle))
        if number is not None:
            found: Quantity | None = Quantity(number, None, None, spread_found.unit)
        else:
            found = quantity(middle.strip(), self.task)
        if found is None or abs(spread_found.value) > LARGEST_UNCERTAINTY * abs(found.value):
            return False
        return self.equals(found)

    def equals(self, found: Quantity) -> bool:
        """Whether another quantity is this one."""
        mine = self.quantity
        if mine.unit != NONE and found.unit != NONE:
            return self._converted(found)
        if mine.unit.percent or found.unit.percent:
            return self._same_share(found)
        if found.unit.dimensions == ANGLE and self._close(float(found.value) * found.unit.factor, CONVERSION):
            return True
        if mine.unit.dimensions == ANGLE and self._close(float(found.value) / mine.unit.factor, CONVERSION):
            return True
        return self._close(found.value)

    def _converted(self, found: Quantity) -> bool:
        mine = self.quantity
        if found.unit.dimensions != mine.unit.dimensions:
            return False
        if found.unit == mine.unit:
            return self._close(found.value)
        inside = float(found.value) * found.unit.factor + found.unit.offset
        if self._close((inside - mine.unit.offset) / mine.unit.factor, CONVERSION):
            return True
        back = (float(mine.value) * mine.unit.factor + mine.unit.offset - found.unit.offset) / found.unit.factor
        return (
            self.task == "stem"
            and (mine.unit.offset or found.unit.offset) != 0
            and _rounds(back, found, len(str(abs(int(found.value)))))
        )

    def _same_share(self, found: Quantity) -> bool:
        """A percentage and a bare number, or two percentages."""
        mine = self.quantity
        if mine.unit == found.unit:
            return self._close(found.value)
        if found.unit.percent:
            small = abs(mine.value) <= 1
            return self._close(found.value / 100) if small or not self.percent else self._close(found.value)
        return self._close(found.value) or self._close(found.value * 100)

    def _close(self, other: Fraction | float, agreement: float = AGREEMENT) -> bool:
        mine = self.quantity.value
        if self.task == "stem":
            return self._within(mine, other)
        if isinstance(mine, Fraction) and isinstance(other, Fraction):
            return mine == other or (not _terminates(other) and self._is_rounded(other))
        if abs(float(mine) - float(other)) <= agreement * abs(float(mine)):
            return True
        return isinstance(other, float) and agreement == AGREEMENT and self._is_rounded(other)

    def _is_rounded(self, exact: Fraction | float) -> bool:
        """Whether the reference is a rounded form of an exact answer such as 1/3 or a root."""
        return (self.quantity.figures or 0) >= 2 and _rounds(exact, self.quantity, self.quantity.figures or 0)

    def _within(self, mine: Fraction | float, other: Fraction | float) -> bool:
        if mine == other:
            return True
        if _year(self.quantity) and isinstance(other, Fraction) and other.denominator == 1:
            return False
        if abs(float(mine) - float(other)) <= self.tolerance * (1 + 1e-9) * abs(float(mine)):
            return True
        return self._is_rounded(other)


def _year(one: Quantity) -> bool:
    """Whether it looks like the year of something: the next one is within 1 % and wrong."""
    return one.exact and one.unit == NONE and one.figures is None and one.value in _YEARS and one.value % 100 != 0


def _terminates(number: Fraction) -> bool:
    rest = number.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _rounds(number: Fraction | float, rounded: Quantity, figures: int) -> bool:
    """Whether a number rounds to a figure, at the decimals to which that is given."""
    half = 0.5000001 * 10.0 ** -(rounded.decimals or 0)
    return figures >= 2 and abs(float(number) - float(rounded.value)) <= half


def _roughly(one: Quantity, other: Quantity) -> bool:
    """Whether two links of a chain may be the same, one of them rounded."""
    if one.unit.dimensions != other.unit.dimensions or one.unit.offset != other.unit.offset:
        return NONE in (one.unit, other.unit) and (not one.unit.offset and _near(one.value, other.value))
    return _near(one.value, other.value) or _near(one.value * one.unit.factor, other.value * other.unit.factor)


def _near(one: Fraction | float, other: Fraction | float) -> bool:
    return abs(float(one) - float(other)) <= TOLERANCE * max(abs(float(one)), abs(float(other)))
