r"""What an answer commits to: its one box, what it says after "the answer is", or all of it; and the number in that."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from rewards.answers.commitment import final
from rewards.answers.quantities import closed_number
from rewards.failures import failed
from rewards.normal import compact, formula, plain, tidy
from rewards.sample import Judgement, Sample, brief

Part = Literal["answer", "reasoning", "response"]
LONGEST = 4000
"""Characters of an answer without a box that are read; a longer one is no short answer."""

_SIGN = re.compile(r"[-+±~<>=≤≥≠]*")
_FIGURE = r"[+-]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,40})?(?:\.\d{1,40})?(?<=\d)(?:[eE][+-]?\d{1,3}(?!\d))?"
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12, "千": 3, "万": 4, "百万": 6, "亿": 8}
_AMOUNT = rf"({_FIGURE})\s*(%|percent\b|{'|'.join(sorted(_SCALES, key=len, reverse=True))})?"
_WHOLE = re.compile(
    rf"(?:(?:about|approximately|only|just|exactly) |[~≈]\s*)?[$€£¥]?\s*{_AMOUNT}(?:\s*[^\W\d_]+){{0,3}}", re.IGNORECASE
)
_CHAIN = re.compile(r"\d[^\s=]{0,20}\s{0,5}[=≈]")
_LED = re.compile(rf"[$€£¥]?\s*{_AMOUNT}\s+(?!(?:or|to|and|of|out|x)\b)[^\W\d_]", re.IGNORECASE)
"""What the last sentence states, with a condition behind it: 7 bars taller than 50."""
_ANY = re.compile(rf"(?<![\w.,/:-])[$€£¥]?{_AMOUNT}(?![\w.,]*\d|\s*[-–/:])", re.IGNORECASE)
_STATED = re.compile(
    rf"(?:\b(?:is|are|was|were|equals|count|counted|see|has|have|total of)\b|[=:：≈]|是|有|为)\s*"
    rf"(?:about\s|approximately\s|roughly\s|around\s|exactly\s)?\s*[$€£¥]?\s*{_AMOUNT}(?![\w.,]*\d)",
    re.IGNORECASE,
)

_TEXTS = re.compile(r"\\(?:text|textbf|mathrm|mathbf|textit)\s*\{([^{}]*)\}")

DENIED = re.compile(
    r"\b(?:not|never|neither|nor|wrong|incorrect|mistaken?|withdraw|retract|disregard|cannot|unable|unsure|reference|"
    r"someone|give up|guess(?:ed|ing)?|(?:more|less|fewer|greater|other) than|at (?:least|most)|or)\b|n't\b|不|错|没有",
    re.IGNORECASE,
)
"""Words around a letter, number or coordinates that leave it unsure whether they are meant as the answer."""


def part_of(sample: Sample, part: Part) -> str:
    """The part of a response that a reward looks at; empty where there is no reasoning."""
    if part == "reasoning":
        return sample.reasoning or ""
    return sample.answer if part == "answer" else sample.response


def committed(answer: str, worded: bool = True) -> str | None:
    r"""The one thing that an answer commits to, cleaned; None for several different ones, or nothing at all.

    Of an answer in words, `worded`, a sentence stays whole; where a number is wanted, it is what the sentence states.

    >>> committed(r"The bar is blue: \boxed{Blue}."), committed("Answer: Blue"), committed(r"\boxed{1} or \boxed{2}")
    ('Blue', 'Blue', None)
    """
    return tidy(final(answer, listed=False, worded=worded).text) or None


def same_text(one: str, other: str) -> bool:
    """Whether two texts are the same words, or the same formula; a sign before them counts, though no word.

    >>> same_text("The Red Lion.", "the red lion"), same_text("-x", "x")
    (True, False)
    """
    first, second = (_TEXTS.sub(r"\1", tidy(text)) for text in (one, other))
    if "\\" in first + second or not (plain(first) and plain(second)):
        return formula(first) == formula(second)
    return plain(first) == plain(second) and _sign(first) == _sign(second)


def _sign(text: str) -> str:
    found = _SIGN.match(text)
    return found[0] if found else ""


def number_and_percent(text: str) -> tuple[Fraction, bool] | None:
    """The number that a short text is, or that a sentence states, and whether it is a percentage.

    None for none, for different ones, for chains such as 4 = 7, and where other words leave it in doubt.

    >>> number_and_percent("$1,250"), number_and_percent("There are 7 cats."), number_and_percent("It is 7 or it is 8")
    ((Fraction(1250, 1), False), (Fraction(7, 1), False), None)
    """
    written = _TEXTS.sub(r"\1", tidy(text[:LONGEST]))
    text = written.replace("\\", "")
    if _CHAIN.search(text):
        return _chained(text)
    whole = _WHOLE.fullmatch(text)
    if not whole and DENIED.search(text):
        return None
    prose = "\\" not in written.replace("\\$", "").replace("\\%", "")  # of a formula a figure may be any part
    led = whole or (_LED.match(text) if prose else None)
    found = [led.groups()] if led else _STATED.findall(text) or (_ANY.findall(text) if prose else [])
    stated = {_value(*one) for one in found}
    return stated.pop() if len(stated) == 1 else None


def _chained(text: str) -> tuple[Fraction, bool] | None:
    """The number of a calculation all of whose sides are the same: 31/50 = 0.62."""
    *worked, end = re.split("[=≈]", text)
    last, sides = number_and_percent(end), [closed_number(compact(side)) for side in worked]
    alike = [last is not None and side is not None and abs(side - last[0]) <= abs(last[0]) / 100 for side in sides]
    return last if all(alike) else None


def _value(figure: str, scale: str | None) -> tuple[Fraction, bool]:
    scale = (scale or "").lower()
    return Fraction(figure.replace(",", "")) * 10 ** _SCALES.get(scale, 0), scale in ("%", "percent")


def references(sample: Sample) -> list[str]:
    """The answers that count as right: the reference, or each text of the JSON list that it is."""
    reference = (sample.reference or "").strip()
    if reference.startswith("["):
        try:
            several = json.loads(reference)
        except (ValueError, RecursionError):
            several = None
        if isinstance(several, list) and several and all(isinstance(one, str | int | float) for one in several):
            return [str(one) for one in several]
    return [reference] if reference else []


def no_reference(expected: str) -> Judgement:
    """The failed judgement on a sample without a usable reference."""
    return failed("bad reference", f"expected {expected}")


def nothing(answer: str) -> Judgement:
    """0 for an answer that commits to nothing, or to several things."""
    return Judgement(0.0, f"no one answer in {brief(answer)!r}" if answer.strip() else "there is no answer")


def right_or_wrong(right: bool, answer: str, wanted: Sequence[str]) -> Judgement:
    """1 or 0, and what was compared with what."""
    said = " or ".join(brief(one) for one in wanted[:3])
    return Judgement(float(right), f"{brief(answer)} {'agrees with' if right else 'is not'} {said}")
