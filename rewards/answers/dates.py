"""Dates, in the orders and words in which they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from rewards.answers.kind import Decide
from rewards.normal import TEXT_MARK, spaced

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_WEEKDAY = re.compile(r"^(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,? ")
_LEAD = re.compile(r"^(?:on |in |the |year |date |of |it was |公元)+")
_ERA = re.compile(r"\s*(bce?|ce|ad|b\.c\.e?\.?|a\.d\.?)$|^(ad|公元前)\s*")
_FORMS = (
    (re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})"), "ymd"),
    (re.compile(r"(\d{4}) ?年 ?(\d{1,2}) ?月 ?(\d{1,2}) ?[日号]"), "ymd"),
    (re.compile(r"(\d{4}) ?年 ?(\d{1,2}) ?月"), "ym"),
    (re.compile(r"(\d{1,4}) ?年"), "y"),
    (re.compile(r"(\d{4})[-/](\d{1,2})"), "ym"),
    (re.compile(rf"{_MONTH} {_DAY},? (\d{{1,4}})"), "mdy"),
    (re.compile(rf"{_DAY}(?: of)? {_MONTH},? (\d{{1,4}})"), "dmy"),
    (re.compile(rf"{_MONTH},? (\d{{4}})"), "my"),
    (re.compile(_MONTH), "m"),
    (re.compile(rf"{_MONTH} {_DAY}"), "md"),
    (re.compile(rf"{_DAY}(?: of)? {_MONTH}"), "dm"),
    (re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})"), "mdy"),
    (re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})"), "dmy"),
    (re.compile(r"(\d{1,4})"), "y"),
)


class Date(NamedTuple):
    """A date as far as it is given; years before Christ are negative."""

    year: int | None
    month: int | None
    day: int | None


@lru_cache(maxsize=4096)
def dates(text: str) -> frozenset[Date]:
    """The dates that a text may mean: several for 3/4/2024, none for what is no date.

    >>> dates("5 March 2024")
    frozenset({Date(year=2024, month=3, day=5)})
    """
    text = " ".join(spaced(text).replace(TEXT_MARK, " ").lower().split()).strip(" .")
    if len(text) > 50:
        return frozenset()
    text = _LEAD.sub("", _WEEKDAY.sub("", text))
    era = _ERA.search(text)
    before = era is not None and (era[1] or era[2]).startswith(("b", "公元前"))
    if era:
        text = _ERA.sub("", text).strip()
    found = set[Date]()
    for pattern, order in _FORMS:
        if one := pattern.fullmatch(text):
            fields = {name: _number(value) for name, value in zip(order, one.groups(), strict=True)}
            year = fields.get("y")
            date = Date(-year if before and year else year, fields.get("m"), fields.get("d"))
            if _valid(date):
                found.add(date)
    return frozenset(found)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else _MONTHS.index(text[:3]) + 1


def _valid(date: Date) -> bool:
    return 1 <= (date.month or 1) <= 12 and 1 <= (date.day or 1) <= 31


def is_date(text: str) -> bool:
    """Whether a reference is a date, more than a number or a fraction that may be one."""
    return bool(dates(text)) and not re.fullmatch(r"\d+|\d+\.\d+(\.\d+)?|\d+/\d+", text.strip())


@dataclass(frozen=True, slots=True)
class Dated:
    """A reference that is a date."""

    text: str

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer is the same date, to the same day, month or year."""
        return not dates(self.text).isdisjoint(dates(answer))
