"""Equality by algebra, through math-verify: for the process of a pool, which can be killed.

math-verify's own time limit is an alarm of whole seconds that works in main threads alone and that one big
integer can sit out; it is switched off here, and the pool's deadline takes its place.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

os.environ.setdefault("SYMPY_GROUND_TYPES", "python")
os.environ.setdefault("MPMATH_NOGMPY", "1")

from math_verify import LatexExtractionConfig, parse, verify
from sympy import Equality, I, simplify

from rewards.answer import Question, judgement, same_expression
from rewards.answers.references import reference
from rewards.answers.units import unit
from rewards.failures import failed
from rewards.latex import disarm
from rewards.normal import TEXT_MARK
from rewards.sample import Judgement, brief

PRECISION = 30
"""Digits to which two numbers are worked out."""
AGREEMENT = 1e-12
"""Relative difference up to which two numbers are the same: exact forms agree, rounded ones do not."""

REMEMBERED = 1000
"""Expressions kept as they were read: those of a reference come again and again."""

logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of the time limit that is off on purpose
disarm()
_LATEX = [LatexExtractionConfig()]


def checker() -> Callable[[Question], Judgement]:
    """The function that a pool's process runs, warmed up."""
    equal(Question("f(x) + 1", "1 + f(x)"))
    unit("m")  # pint has to be loaded before the process is sealed
    return equal


class _UnreadReferenceError(Exception):
    """A reference that cannot be read as mathematics."""


def equal(question: Question) -> Judgement:
    """Whether the answer equals the reference; no score where the reference cannot be read."""
    kind = reference(question.reference, question.task, question.prompt, question.tolerance)
    try:
        verdict = kind.same(question.answer, _decide)
    except _UnreadReferenceError as error:
        return failed("bad reference", f"cannot be read as mathematics: {error}")
    if verdict is None:
        return Judgement(0.0, f"cannot be read as mathematics: {brief(question.answer)}")
    return judgement(verdict, question.answer, question.reference)


def _decide(answer: str, wanted: str) -> bool | None:
    """Whether two expressions are the same; None where the answer's cannot be read."""
    known = same_expression(answer, wanted)
    if known is not None:
        return known
    gold = _read(wanted)
    if gold is None:
        raise _UnreadReferenceError(brief(wanted))
    found = _read(answer)
    try:
        return None if found is None else _same(found, gold)
    except (TypeError, ValueError, AttributeError, NotImplementedError):  # what sympy raises for things unlike
        return None


@lru_cache(maxsize=REMEMBERED)
def _read(text: str) -> Any:
    """The expression that a text is, with i as the imaginary unit (a plain symbol to math-verify); None for none."""
    latex = text.replace(TEXT_MARK, " ")
    found = parse(f"${latex}$", extraction_config=_LATEX, fallback_mode="no_fallback", parsing_timeout=None)  # pyright: ignore[reportArgumentType]
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
    if isinstance(reference, Equality):
        return isinstance(answer, Equality) and _proportional(answer, reference)
    return verify(reference, answer, timeout_seconds=None)


def _proportional(one: Any, other: Any) -> bool:
    """Whether two equations are the same but for a constant factor."""
    ratio = simplify((one.lhs - one.rhs) / (other.lhs - other.rhs))
    return bool(ratio.is_number and ratio.is_finite and ratio != 0)
