r"""Quantities as they are written: a figure, exact or rounded or to be worked out, and the unit behind it."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from halyard.tasks import Task
from rewards.answers.numerals import figure, in_words, number
from rewards.answers.units import NONE, Unit, spelled, unit
from rewards.identity import value
from rewards.normal import REMEMBERED, TEXT_MARK, compact

_CURRENCY = re.compile(r"([+-]?)\s*(\\?\$|€|£|¥|USD|EUR)\s*(?=[\d.])")
_NOUNS = re.compile(r"[a-zà-ÿ一-鿿]+(?:[ -][a-zà-ÿ一-鿿]+){0,4}")
_NO_NOUNS = "or and not to is but between than per about i e pi x y z n k"
_FACTORS = frozenset(_NO_NOUNS.split())
_LETTERS = re.compile(r"[a-zA-Z]{1,2}")
_SURE = ("cm", "mm", "km", "kg", "mL")
_GLUED = re.compile(rf"(?<=[\d}}]) ?(?:{'|'.join(_SURE)})(?:\^\{{?[23]\}}?)?$")
_VARIABLES = tuple("xyznabtrhdu")
_SCALE_WORD = re.compile(rf"[\s{TEXT_MARK}]*(hundred|thousand|million|billion|trillion|万|亿)(?![a-zA-Z])")
_SCALE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12,
          "万": 10**4, "亿": 10**8}  # fmt: skip
_PART = re.compile(rf"(\d+(?:\.\d+)?)[ {TEXT_MARK}]*([A-Za-zμ一-鿿]+)[ ,{TEXT_MARK}]*(?:and )?")
_PLAIN = re.compile(r"(?:[\d.\s~+*/(){}^-]|\\frac|\\cdot|\\times)*")
_SUM = re.compile(r"[\d)}][\s~]*(?:[+*-]|\\cdot|\\times)[\s~]*[\d(\\]")
"""A sum or product of plain numbers hands the question back: 17+25 is no answer where 42 is."""
_MIXED = re.compile(r"-?\d+ ?[+-] ?(?:\\frac ?\{?\d+\}? ?\{?\d+\}?|\d+/\d+)")


class Quantity(NamedTuple):
    """A value, to how many decimals and significant figures it is given (None: exactly), and its unit."""

    value: Fraction | float
    decimals: int | None
    figures: int | None
    unit: Unit

    @property
    def exact(self) -> bool:
        """Whether the value is rational and known exactly."""
        return isinstance(self.value, Fraction)


@lru_cache(maxsize=REMEMBERED)
def quantity(text: str, task: Task) -> Quantity | None:
    r"""The quantity that a spaced form is, or None if it is something else.

    >>> quantity("1,250 m", "stem").value
    Fraction(1250, 1)
    """
    text, currency = _without_currency(text)
    found = figure(text)
    if found is None:
        return _worded(text, currency) or _computed(text, currency, task)
    rest, scale = text[found.end :], 1
    if word := _SCALE_WORD.match(rest):
        rest, scale = rest[word.end() :], _SCALE[word[1]]
    value_ = found.value if scale == 1 else found.value * scale
    if not rest:
        return Quantity(value_, found.decimals, found.figures, unit(currency) or NONE)
    behind = _unit_behind(rest, task) if not currency else None
    if behind is None:
        return _summed(text) or _computed(text, currency, task)
    return Quantity(value_, found.decimals, found.figures, behind)


def _without_currency(text: str) -> tuple[str, str]:
    found = _CURRENCY.match(text)
    if not found:
        return text, ""
    return found[1] + text[found.end() :], found[2].lstrip("\\")


def _unit_behind(rest: str, task: Task) -> Unit | None:
    """The unit behind a figure; None where it may as well be a product of variables."""
    marked = rest[:1] in (" ", TEXT_MARK)
    letters = rest.strip(f" {TEXT_MARK}")
    if task == "math" and not marked and _LETTERS.fullmatch(letters) and letters not in _SURE:
        return None
    if task == "math" and TEXT_MARK not in rest and letters in _VARIABLES:
        return None
    found = unit(rest) if letters.removesuffix("s") != "unit" else None
    return found if found is not None else _nouns(rest, marked)


def _nouns(rest: str, marked: bool) -> Unit | None:
    """What is counted, `apples`, as a unit of its own."""
    words = spelled(rest).lower()
    words = re.sub(r"^(?:square|cubic) (?=units?$)|\^[23]$", "", words)
    if (
        not (marked or "一" <= words[:1] <= "鿿")
        or not _NOUNS.fullmatch(words)
        or not _FACTORS.isdisjoint(words.split())
    ):
        return None
    if len(words) == 1 and words.isascii():
        return None
    return NONE if words in ("unit", "units") else Unit(1.0, ((words.removesuffix("s"), 1),))


def _summed(text: str) -> Quantity | None:
    """`2 hours 30 minutes`; and `2+`, as chemists write a charge."""
    charge = re.fullmatch(r"(\d{1,2}) ?([+-])", text)
    if charge:
        return Quantity(Fraction(int(charge[2] + charge[1])), None, None, NONE)
    parts = _PART.findall(text)
    if not 2 <= len(parts) <= 3 or _PART.sub("", text).strip():
        return None
    units = [unit(name) for _, name in parts]
    if any(one is None or one.dimensions != (units[0] or NONE).dimensions or one.offset for one in units):
        return None
    total = sum(float(Fraction(size)) * (one or NONE).factor for (size, _), one in zip(parts, units, strict=True))
    first = units[0] or NONE
    return Quantity(Fraction(total / first.factor).limit_denominator(10**9), None, None, first)


def _worded(text: str, currency: str) -> Quantity | None:
    """`twelve`, `五元`, `three apples`."""
    if currency or len(text) > 60 or "\\" in text:
        return None
    whole = in_words(text)
    if whole is not None:
        return Quantity(whole, None, None, NONE)
    if text.isascii():
        words = text.replace(TEXT_MARK, " ").split()
        splits = [(" ".join(words[:end]), " ".join(words[end:])) for end in range(len(words) - 1, 0, -1)]
    else:
        splits = [(text[:end], text[end:]) for end in range(len(text) - 1, 0, -1)]
    for front, behind in splits[:6]:
        count = in_words(front)
        if count is not None:
            found = unit(behind) or _nouns(behind, True)
            return None if found is None else Quantity(count, None, None, found)
    return None


def _computed(text: str, currency: str, task: Task) -> Quantity | None:
    r"""`2\pi\text{ cm}`: a figure that has to be worked out."""
    for front, behind in ((text, ""), _front_and_unit(text)):
        figure_ = None if _handed_back(front) else closed_number(compact(front))
        if figure_ is not None:
            found = unit(currency) if not behind else _unit_behind(behind, task)
            return None if found is None else Quantity(figure_, None, None, found)
    return None


def _front_and_unit(text: str) -> tuple[str, str]:
    """A text cut where its unit may begin."""
    if glued := _GLUED.search(text):
        return text[: glued.start()], text[glued.start() :]
    for mark in (text.find(TEXT_MARK, 1), text.find("^\\circ"), text.find("%"), text.rfind(" ")):
        if mark > 0:
            return text[:mark], text[mark:]
    return text, ""


def _handed_back(text: str) -> bool:
    return bool(_SUM.search(text) and _PLAIN.fullmatch(text) and not _MIXED.fullmatch(text))


def closed_number(text: str) -> float | Fraction | None:
    """The real number that a formula without letters is, exactly where it is written so."""
    found = number(text)
    if found is not None:
        return found
    worked_out = value(text)
    return worked_out.real if worked_out is not None and not worked_out.imag else None
