r"""Answers that no one need compute: bombs are known by their looks, before any algebra sees them.

What is not caught here meets the pool's deadline and memory limit; this keeps most of it from costing a
process. Limits are far above what answers of real data sets have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

LONGEST = 1000
DEEPEST = 12
MOST_DIGITS = 100
LARGEST_EXPONENT = 10_000
LARGEST_FACTORIAL_DIGITS = 3
LARGEST_BINOMIAL_DIGITS = 4

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_BRACKET = re.compile(r"[(\[{]|[)\]}]")
_DIGITS = re.compile(rf"\d{{{MOST_DIGITS + 1},}}")
_EXPONENT = re.compile(r"(?:\^|\*\*)\s*")
_NUMBER = re.compile(r"[+-]?\s*(\d+)")
_FACTORIAL = re.compile(rf"\d{{{LARGEST_FACTORIAL_DIGITS + 1},}}\s*!|[)}}\]!]\s*!")
_BINOMIAL = re.compile(r"\\(?:[dt]?binom|choose)(?![a-zA-Z])")
_LONG_NUMBER = re.compile(rf"\d{{{LARGEST_BINOMIAL_DIGITS + 1},}}")
_UNEVALUATED = re.compile(r"\\(sum|prod|i{1,3}nt|oint|lim)(?![a-zA-Z])")


def hazard(answer: str, reference: str) -> str:
    r"""Why an answer is refused unseen; empty when it may be computed.

    An unevaluated sum, product, integral or limit only restates the question, unless the reference is one.

    >>> hazard("9^{9^{9}}", "3")
    'refused: a tower of powers'
    """
    checks: tuple[Callable[[str], str], ...] = (_size, _nesting, _powers, _combinatorics)
    for check in checks:
        if found := check(answer):
            return f"refused: {found}"
    unevaluated = _UNEVALUATED.search(answer)
    if unevaluated and not _UNEVALUATED.search(reference):
        return f"refused: an unevaluated \\{unevaluated[1]} is no answer"
    return ""


def _size(text: str) -> str:
    if len(text) > LONGEST:
        return f"an answer of {len(text)} characters"
    if _CONTROL.search(text):
        return "control characters"
    return f"a number of more than {MOST_DIGITS} digits" if _DIGITS.search(text) else ""


def _nesting(text: str) -> str:
    depth = deepest = 0
    for bracket in _BRACKET.finditer(text):
        depth += 1 if bracket[0] in "([{" else -1
        deepest = max(deepest, depth)
    return f"brackets {deepest} deep" if deepest > DEEPEST else ""


def _powers(text: str) -> str:
    """Towers (powers in numeric exponents), large exponents, and powers of powers that multiply to one."""
    compounded = 1
    for base, exponent in _exponents(text):
        if not re.search(r"[a-zA-Z]", re.sub(r"\\[a-zA-Z]+", "", exponent)) and _EXPONENT.search(exponent):
            return "a tower of powers"
        number = _NUMBER.search(exponent)
        size = int(number[1]) if number else 1
        if size > LARGEST_EXPONENT:
            return f"an exponent of {size}" if size < 10**12 else "an exponent beyond all measure"
        if base in ")]}":
            compounded *= max(size, 1)
    return "powers of powers" if compounded > LARGEST_EXPONENT else ""


def _exponents(text: str) -> Iterator[tuple[str, str]]:
    """(last character of the base, exponent) of each power; a chain like 9^9^9 is one exponent, `9^9`."""
    for power in _EXPONENT.finditer(text):
        end = _group_end(text, power.end())
        while (following := _EXPONENT.match(text, end)) and following.end() < len(text):
            end = _group_end(text, following.end())
        yield text[: power.start()].rstrip()[-1:], text[power.end() : end]


def _group_end(text: str, start: int) -> int:
    """Where the group ends that starts here: a bracketed one, a number, or a single character."""
    if text[start : start + 1] not in ("{", "("):
        number = _NUMBER.match(text, start)
        return number.end() if number else start + 1
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] in "([{" else -1
        if depth == 0:
            return bracket.end()
    return len(text)


def _combinatorics(text: str) -> str:
    if _FACTORIAL.search(text):
        return "a large factorial"
    return "a large binomial" if _BINOMIAL.search(text) and _LONG_NUMBER.search(text) else ""
