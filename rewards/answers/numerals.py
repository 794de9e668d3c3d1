r"""Numbers, exactly, in all the ways they are written: digits with separators, powers of ten, fractions, words."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from rewards.normal import TEXT_MARK

LONGEST = 400
"""Characters above which a text is not taken for a number."""


class Figure(NamedTuple):
    """A number as it is written: its value, where its text ends, and to how many decimals and figures it is given.

    `decimals` is the exponent of ten of its last digit, negated (2 for 1.25, -1 for 1.2e2), `figures` the number of
    significant digits; both are None for what is exact: whole numbers and fractions.
    """

    value: Fraction
    end: int
    decimals: int | None = None
    figures: int | None = None


_TEN = r"10[ ]?\^[ ]?(?:\{[ ]?([+-]?\d{1,3})[ ]?\}|\(([+-]?\d{1,3})\)|([+-]?\d{1,3}))(?!\d)"
_NUMBER = re.compile(
    rf"""([+-])?\ ?
    (?: (\d*)\ ?\\frac\ ?(?:\{{([+-]?\d+)\}}\ ?\{{([+-]?\d+)\}}|\ ?(\d)\ ?(\d))   # \frac{{3}}{{4}}, 1\frac34
      | (\d+)\ (\d+)/(\d+)(?!\d)                                            # 2 1/3
      | {_TEN}                                                              # 10^{{-3}}
      | ( \d{{1,3}}(?:\.\d{{3}})+,\d+(?!\d) | \d{{1,3}}(?:[ ]\d{{3}})+,\d{{1,2}}(?!\d)     # 1.234,56  1 234,5
        | \d{{1,3}}(?:[, '_]\d{{3}})+(?!\d)(?:\.\d+)?                       # 1,234.5
        | \d{{1,2}}(?:,\d{{2}})+,\d{{3}}(?!\d)(?:\.\d+)?                    # 12,34,567
        | (?:0|\d+),(?:\d{{1,2}}|\d{{4,}})(?![\d,]) | 0,\d{{3}}(?![\d,])    # 3,14
        | \d+\.?\d*|\.\d+ )
        (?: \ ?/\ ?(\d+(?:\.\d+)?)                                          # 3/4
          | \ ?(?:\\times|\\cdot|\*|[xX])\ ?{_TEN}                          # 1.6\times10^{{-19}}
          | [eE]([+-]?\d{{1,3}})(?![\d.])                                   # 1.6e-19
        )?
    )""",
    re.VERBOSE,
)
_RECURRING = re.compile(
    r"(-?)(\d+)\.(\d*?)(?:\\(?:overline|bar|dot)\{?(\d{1,9})\}?|(\d{1,4}?)\5{2,})(\.{3}|…|\\[lc]?dots)?"
)
ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
WORDS = {word: value for value, word in enumerate(ONES)} | {word: 10 * tens for tens, word in enumerate(TENS, 2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_PARTS = {"half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
          "eighth": 8, "ninth": 9, "tenth": 10}  # fmt: skip
CHINESE_DIGITS = dict(zip("零〇一二两三四五六七八九", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_CHINESE_SCALES = {"十": 10, "百": 100, "千": 1000}
_REDUCED = re.compile(r"([一二两三四五六七八九])([一二三四五六七八九])?[折成]")
"""Discounts and tenths: 八折 is 80 %."""
_CHINESE = re.compile(r"[零〇一二两三四五六七八九十百千万亿\d.]+")


def figure(text: str) -> Figure | None:
    """The number that a text in spaced or formula form begins with; None where it begins with none."""
    if len(text) > LONGEST or not (found := _NUMBER.match(text)):
        return None
    sign, whole, top, bottom, top1, bottom1, mixed, over_, under, *rest = found.groups()
    if bottom or bottom1 or mixed:
        value = _mixed(whole or mixed, top or top1 or over_, bottom or bottom1 or under)
        return None if value is None else Figure(-value if sign == "-" else value, found.end())
    *tens, digits, over, times, times1, times2, exponent = rest
    power = int(times or times1 or times2 or exponent or 0)
    if digits is None:
        value, power = Fraction(1), int(next(filter(None, tens)))
        decimals = figures = None
    else:
        value, decimals, figures = _decimal(digits, scaled=bool(times or times1 or times2 or exponent))
    if over:
        divisor = int(over) if over.isdecimal() else Fraction(over)
        if not divisor:
            return None
        value, decimals, figures = Fraction(value, divisor), None, None
    if power:
        value *= Fraction(10) ** power
    if decimals is not None:
        decimals -= power
    return Figure(-value if sign == "-" else value, found.end(), decimals, figures)


def _mixed(whole: str | None, top: str, bottom: str) -> Fraction | None:
    if not int(bottom):
        return None
    return Fraction(int(whole or 0) * int(bottom) + int(top), int(bottom))


def _decimal(digits: str, *, scaled: bool) -> tuple[Fraction, int | None, int | None]:
    """Value, decimals and significant figures; a comma is the decimal point where it cannot separate thousands."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?: \d{3})+,\d+|\d+,(?:\d{1,2}|\d{4,})|0,\d{3}", digits):
        digits = digits.replace(".", "").replace(" ", "").replace(",", ".")
    digits = re.sub("[, '_]", "", digits)
    whole, point, fraction = digits.partition(".")
    if not (point and fraction) and not scaled:
        return Fraction(int(whole or 0)), None, None
    figures = len((whole + fraction).lstrip("0"))
    return Fraction(digits.removesuffix(".")), len(fraction), figures


def number(text: str) -> Fraction | None:
    """The number that a text is as a whole, in digits or in words.

    >>> number("1,250.5"), number("two thirds"), number("三分之二")
    (Fraction(2501, 2), Fraction(2, 3), Fraction(2, 3))
    """
    found = figure(text)
    if found and found.end == len(text):
        return found.value
    return recurring(text) if found else in_words(text)


def recurring(text: str) -> Fraction | None:
    r"""The number that a recurring decimal is, None for something else.

    >>> recurring(r"0.\overline{3}"), recurring("0.333...")
    (Fraction(1, 3), Fraction(1, 3))
    """
    found = _RECURRING.fullmatch(text)
    if not found or len(text) > LONGEST:
        return None
    sign, whole, first, over, again, dots = found.groups()
    if over is None and (again is None or not dots):
        return None
    start, block = first or "", over or again
    value = int(whole + start) + Fraction(int(block), 10 ** len(block) - 1)
    return (-1 if sign else 1) * value / 10 ** len(start)


def in_words(text: str) -> Fraction | None:
    """The number that English or Chinese words are, else None."""
    text = text.replace(TEXT_MARK, " ").strip()
    if not text or len(text) > 60 or (text.isascii() and not text.replace(" ", "").replace("-", "").isalpha()):
        return None
    return _english(text.lower()) if text.isascii() else _chinese(text)


def _english(text: str) -> Fraction | None:
    words = text.replace("-", " ").split()
    sign = -1 if words[:1] and words[0] in ("minus", "negative") else 1
    words = [word for word in words[sign == -1 :] if word not in ("a", "an", "and", "one")] or words
    *count, last = words
    part = _PARTS.get(last) or _PARTS.get(last.removesuffix("s"))
    if part:
        top = _cardinal(count) if count else 1
        return None if top is None else sign * Fraction(top, part)
    whole = _cardinal([word for word in text.replace("-", " ").split()[sign == -1 :] if word not in ("a", "and")])
    return None if whole is None else Fraction(sign * whole)


def _cardinal(words: list[str]) -> int | None:
    total = group = 0
    for word in words:
        if word in WORDS:
            group += WORDS[word]
        elif word == "hundred":
            group = max(group, 1) * 100
        elif word in _SCALES:
            total, group = total + max(group, 1) * _SCALES[word], 0
        else:
            return None
    return total + group if words else None


def _chinese(text: str) -> Fraction | None:
    sign = -1 if text.startswith("负") else 1
    text = text.removeprefix("负")
    if reduced := _REDUCED.fullmatch(text):
        return sign * Fraction(10 * CHINESE_DIGITS[reduced[1]] + CHINESE_DIGITS.get(reduced[2] or "", 0), 100)
    if text in ("一半", "半"):
        return Fraction(sign, 2)
    bottom, share, top = text.partition("分之")
    if share:
        under, over = (Fraction(100) if bottom == "百" else _chinese_decimal(bottom)), _chinese_decimal(top)
        return None if not under or over is None else sign * over / under
    value = _chinese_decimal(text)
    return None if value is None else sign * value


def _chinese_decimal(text: str) -> Fraction | None:
    whole, point, fraction = text.partition("点")
    value = _chinese_whole(whole)
    if value is None or not point:
        return value
    if not fraction or any(digit not in CHINESE_DIGITS for digit in fraction):
        return None
    return value + Fraction(int("".join(str(CHINESE_DIGITS[digit]) for digit in fraction)), 10 ** len(fraction))


def _chinese_whole(text: str) -> Fraction | None:
    """一百二十, and mixtures such as 1万; None for what is no number."""
    if not _CHINESE.fullmatch(text):
        return None
    for mark, scale in (("亿", 10**8), ("万", 10**4)):
        before, found, after = text.partition(mark)
        if found:
            high, low = _chinese_whole(before), _chinese_whole(after) if after else Fraction(0)
            return None if high is None or low is None else high * scale + low
    if re.fullmatch(r"\d+(\.\d+)?[千百]?", text):
        scale = _CHINESE_SCALES.get(text[-1], 1)
        return Fraction(text.rstrip("千百")) * scale
    total, digit, unit = 0, 0, 1
    for character in text:
        if character in _CHINESE_SCALES:
            unit = _CHINESE_SCALES[character]
            total, digit = total + (digit or 1) * unit, 0
        elif character in CHINESE_DIGITS:
            digit = CHINESE_DIGITS[character]
            unit = 1 if digit == 0 else unit
        else:
            return None
    return Fraction(total + digit * max(1, unit // 10))  # 一百五 is 150, 一百零五 is 105
