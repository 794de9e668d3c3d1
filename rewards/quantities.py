"""Numbers, exactly, with the unit written behind them: what most answers are."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from halyard.tasks import Task
from rewards.normal import TEXT_MARK

LONGEST = 400
"""Characters above which a text is not taken for a number."""

_POWER = r"\^(?:\{([+-]?\d{1,3})\}|([+-]?\d{1,3}))(?!\d)"
_NUMBER = re.compile(
    rf"""([+-])?
    (?: (\d*)\\frac(?:\{{([+-]?\d+)\}}\{{(\d+)\}}|(\d)(\d))       # \frac{{3}}{{4}}, 1\frac34
      | (?:10{_POWER})                                            # 10^{{-3}}
      | (\d{{1,3}}(?:[, ]\d{{3}})+(?![\d])(?:\.\d+)?|\d+\.?\d*|\.\d+)   # 1,234.5
        (?: /(\d+(?:\.\d+)?)                                      # 3/4
          | (?:\\times|\\cdot|\*|x)10{_POWER}                     # 1.6\times10^{{-19}}
          | [eE]([+-]?\d{{1,3}})(?![\d.])                         # 1.6e-19
        )?
    )""",
    re.VERBOSE,
)
_UNIT_SPELLINGS = (("\\cdot", "*"), ("\\times", "*"), ("^\\circ", "°"), ("\\mu", "μ"), ("\\Omega", "Ω"))
_UNIT = re.compile(r"[A-Za-zμΩ°%€£][A-Za-zμΩ°%€£0-9*/()-]*")


class Quantity(NamedTuple):
    """A figure and its unit ("" for none); `certain` when the unit cannot be a product of variables instead."""

    figure: Fraction
    unit: str
    certain: bool


def quantity(normal: str) -> Quantity | None:
    r"""The quantity that a formula in normal form is, or None if it is something else.

    >>> quantity("1,250m/s")
    Quantity(figure=Fraction(1250, 1), unit='m/s', certain=False)
    """
    if len(normal) > LONGEST or not (found := _NUMBER.match(normal)):
        return None
    figure = _figure(found)
    rest = normal[found.end() :]
    if figure is None or not rest:
        return figure if figure is None else Quantity(figure, "", True)
    unit = _unit(rest)
    return Quantity(figure, unit, rest.startswith(TEXT_MARK) or unit in "%°€£") if unit else None


def _figure(found: re.Match[str]) -> Fraction | None:
    sign, whole, top, bottom, top1, bottom1, ten, ten1, digits, over, times, times1, exponent = found.groups()
    if bottom or bottom1:
        value = _ratio(Fraction(top or top1), Fraction(bottom or bottom1))
        value = value if value is None or not whole else int(whole) + value
    elif digits is None:
        value = Fraction(10) ** int(ten or ten1)
    else:
        value = Fraction(re.sub("[, ]", "", digits))
        value = _ratio(value, Fraction(over)) if over else value * Fraction(10) ** int(times or times1 or exponent or 0)
    return -value if value is not None and sign == "-" else value


def _ratio(top: Fraction, bottom: Fraction) -> Fraction | None:
    return top / bottom if bottom else None


def _unit(rest: str) -> str | None:
    """A unit in one spelling, cm^3 as cm3; None for what cannot be a unit."""
    for old, new in _UNIT_SPELLINGS:
        rest = rest.replace(old, new)
    unit = rest.translate(str.maketrans("", "", "^{}" + TEXT_MARK))
    return unit if _UNIT.fullmatch(unit) else None


def same(answer: Quantity, reference: Quantity, task: Task) -> bool | None:
    """Whether two quantities are equal, exactly; None where letters behind a number may be variables.

    A bare number is taken to be in the other's unit; two different units never agree, except that a percentage
    agrees with the number that it is.
    """
    if task == "math" and not (answer.certain and reference.certain) and answer.unit != reference.unit:
        return None
    units = {answer.unit, reference.unit}
    if units == {"%", ""}:
        return answer.figure == reference.figure or _value(answer) == _value(reference)
    return (len(units) == 1 or "" in units) and answer.figure == reference.figure


def _value(quantity: Quantity) -> Fraction:
    return quantity.figure / 100 if quantity.unit == "%" else quantity.figure
