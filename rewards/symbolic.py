"""Equality by algebra, through math-verify: for the process of a pool, which can be killed.

math-verify's own time limit is an alarm of whole seconds that works in main threads alone and that one big
integer can sit out; it is switched off here, and the pool's deadline takes its place.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("SYMPY_GROUND_TYPES", "python")
os.environ.setdefault("MPMATH_NOGMPY", "1")

from math_verify import LatexExtractionConfig, parse, verify
from sympy import I

from rewards.answer import Question
from rewards.latex import disarm
from rewards.sample import Judgement, brief

PRECISION = 30
"""Digits to which two numbers are worked out."""
AGREEMENT = 1e-12
"""Relative difference up to which two numbers are the same: exact forms agree, rounded ones do not."""

logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of the time limit that is off on purpose
disarm()
_LATEX = [LatexExtractionConfig()]


def checker() -> Callable[[Question], Judgement]:
    """The function that a pool's process runs, warmed up."""
    equal(Question("x + 1", "1 + x"))
    return equal


def equal(question: Question) -> Judgement:
    """Whether the answer equals the reference; no score where the reference cannot be read."""
    gold = _read(question.reference)
    if gold is None:
        return Judgement(None, f"the reference cannot be read as mathematics: {brief(question.reference)}")
    found = _read(question.answer)
    if found is None:
        return Judgement(0.0, f"cannot be read as mathematics: {brief(question.answer)}")
    right = _same(found, gold)
    verb = "equals" if right else "is not"
    return Judgement(float(right), f"{brief(question.answer)} {verb} {brief(question.reference)}")


def _read(text: str) -> Any:
    """The expression that a text is, with i as the imaginary unit (a plain symbol to math-verify); None for none."""
    found = parse(f"${text}$", extraction_config=_LATEX, fallback_mode="no_fallback", parsing_timeout=None)  # pyright: ignore[reportArgumentType]
    if not found:
        return None
    return found[0].subs({symbol: I for symbol in found[0].free_symbols if str(symbol) == "i"})


def _same(answer: Any, reference: Any) -> bool:
    """Numbers by their relative difference (math-verify rounds to six decimals: all tiny ones are equal there)."""
    if getattr(answer, "is_number", False) and getattr(reference, "is_number", False):
        left, right = answer.evalf(PRECISION), reference.evalf(PRECISION)
        if not (left.is_finite and right.is_finite):
            return left == right
        return bool(abs(left - right) <= AGREEMENT * abs(right))
    return verify(reference, answer, timeout_seconds=None)
