r"""Ranges of numbers in science, `3.2-3.5 km` or `9.8 ± 0.2`: within them an answer is right."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rewards.answers.kind import Decide
from rewards.answers.numerals import figure
from rewards.answers.quantities import Quantity, quantity
from rewards.answers.units import NONE
from rewards.normal import TEXT_MARK, spaced

LONGEST = 100
SLACK = 1e-9

_SEPARATOR = re.compile(rf"[\s{TEXT_MARK}]*(?:--?|\bto\b|至|到|—|\\sim(?![a-zA-Z]))[\s{TEXT_MARK}]*")
_BETWEEN = re.compile(rf"[\s{TEXT_MARK}]*(?:between|from)\s+(.+?)\s+(?:and|to)\s+(.+)", re.IGNORECASE)
_BOUNDED = re.compile(r"(.+?)\s*(?:\\le(?![a-zA-Z])|<)[^<\\]*(?:\\le(?![a-zA-Z])|<)\s*(.+)")
_ABOUT = re.compile(r"(.*?)\\pm(?![a-zA-Z])(.+)")


@dataclass(frozen=True, slots=True)
class Range:
    """A reference that allows for a range; both ends are within it."""

    low: Quantity
    high: Quantity

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer is this range, or a number in it."""
        text = spaced(answer)
        found = quantity(text, "stem")
        if found is not None:
            return _scaled(self.low, found) <= 0 <= _scaled(self.high, found) if _fits(self.low, found) else False
        other = read(text)
        if other is None or not _fits(self.low, other.low):
            return False
        return all(_alike(one, two) for one, two in ((self.low, other.low), (self.high, other.high)))


def _alike(mine: Quantity, found: Quantity) -> bool:
    """Whether two ends are the same; whole numbers, such as years, exactly."""
    whole = mine.exact and found.exact and mine.figures is None and found.figures is None
    return abs(_scaled(mine, found)) <= (0 if whole else 0.01) * abs(float(mine.value) * mine.unit.factor) + SLACK


def _fits(mine: Quantity, found: Quantity) -> bool:
    return NONE in (mine.unit, found.unit) or mine.unit.dimensions == found.unit.dimensions


def _scaled(end: Quantity, found: Quantity) -> float:
    """How far an end is above a quantity, in SI units, or in those of the end where the other has none."""
    if NONE in (end.unit, found.unit):
        difference = float(end.value) - float(found.value)
    else:
        difference = (
            float(end.value) * end.unit.factor
            + end.unit.offset
            - float(found.value) * found.unit.factor
            - found.unit.offset
        )
    return 0.0 if abs(difference) <= SLACK * abs(float(end.value) * end.unit.factor) else difference


def read(text: str) -> Range | None:
    r"""The range that a spaced form is, None for something else.

    >>> read("10-15 km").high.value
    Fraction(15, 1)
    """
    if len(text) > LONGEST:
        return None
    about = _ABOUT.fullmatch(text)
    if about:
        return _about(about[1].strip(), about[2].strip())
    between = _BETWEEN.fullmatch(text) or _BOUNDED.fullmatch(text)
    if between:
        return _ends(between[1], between[2])
    for found in _SEPARATOR.finditer(text, 1):
        ends = _ends(text[: found.start()], text[found.end() :])
        if ends:
            return ends
    return None


def _ends(low_text: str, high_text: str) -> Range | None:
    low_text, high_text = low_text.strip(f" {TEXT_MARK}("), high_text.strip(f" {TEXT_MARK}")
    low, high = quantity(low_text, "stem"), quantity(high_text, "stem")
    if low is None or high is None or figure(low_text) is None:
        return None
    low = low if low.unit != NONE else low._replace(unit=high.unit)
    high = high if high.unit != NONE else high._replace(unit=low.unit)
    return Range(low, high) if _fits(low, high) and _scaled(high, low) > 0 else None


def _about(middle: str, spread: str) -> Range | None:
    centre, width = quantity(middle.strip("( "), "stem"), quantity(spread.replace(")", " ").strip(), "stem")
    if centre is None or width is None or not centre.exact or not width.exact:
        return None
    if width.unit.percent and not centre.unit.percent:
        width = width._replace(value=centre.value * width.value / 100, unit=centre.unit)
    unit = width.unit if centre.unit == NONE else centre.unit
    return Range(
        centre._replace(value=centre.value - width.value, unit=unit),
        centre._replace(value=centre.value + width.value, unit=unit),
    )
