"""math-verify's LaTeX parser without its `eval`.

Its grammar hands the digits of every number to `sympy.Number` as text, which sympify parses as Python and evaluates.
The grammar lets nothing but digits through today; here nothing is evaluated whatever it lets through, and reading
numbers is some ten times as fast.
"""

from __future__ import annotations

from typing import Any, NoReturn

import sympy.physics.units  # noqa: F401 (it makes its prefixes from text of its own, when simplify first needs it)
from latex2sympy2_extended import latex2sympy2
from sympy import Float, Integer, Number
from sympy.parsing import sympy_parser

LONGEST_EXPONENT = 4
"""Digits of the exponent in 1e-1000."""


def disarm() -> None:
    """Take the evaluation of text out of this process's LaTeX parser, and out of sympy."""
    latex2sympy2._Latex2Sympy.parse_number = _parse_number  # pyright: ignore[reportAttributeAccessIssue]
    latex2sympy2.convert_number = _convert_number
    sympy_parser.eval_expr = _refuse


def number(text: str) -> Number:
    """The number that a text of digits is, thousands separated by commas or spaces or not at all.

    Raises:
        ValueError: it is no such text, or has an exponent beyond all measure.

    >>> number("1,250"), number("0.50")
    (1250, 0.5)
    """
    digits = text.translate({ord(","): None, ord(" "): None})
    if not digits.isascii():
        raise ValueError("not ASCII digits")
    if digits.isdigit():
        return Integer(int(digits))
    if len(digits.lower().rpartition("e")[2].lstrip("+-0")) > LONGEST_EXPONENT and "e" in digits.lower():
        raise ValueError("an exponent beyond all measure")
    return Float(digits)


def _parse_number(_: Any, text: str) -> Number:
    return number(text)


def _convert_number(text: str) -> Number:
    return number(text.replace(",", ".") if "," in text and text.startswith("0") else text)


def _refuse(*_: Any) -> NoReturn:
    raise ValueError("text is not evaluated here")
