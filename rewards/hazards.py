r"""Answers that no one need compute: bombs are known by their looks, before any algebra sees them.

What is not caught here meets the pool's deadline and memory limit; this keeps most of it from costing a
process. Limits are far above what answers of real data sets have.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

LONGEST = 1000
LONGEST_WORD = 30
DEEPEST = 8
"""The parser's time grows with a power of the depth: 10 brackets take it 0.4 s, 30 take 2 s."""
MOST_COMMANDS_IN_A_ROW = 12
MOST_TERMS = 200
MOST_FACTORS = MOST_FACTORIALS = 20
MOST_ENTRIES = 100
MOST_ENTRIES_OF_A_DETERMINANT = 25
MOST_UNEVALUATED = 3
MOST_DIGITS = 100
LARGEST_EXPONENT = 10_000
LARGEST_EXPANSION = 3_000
LARGEST_FACTORIAL_DIGITS = 3
LARGEST_BINOMIAL_DIGITS = LARGEST_RANGE_DIGITS = 4

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_DISGUISE = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
_BRACKET = re.compile(r"[(\[{]|[)\]}]")
_PREFIXES = re.compile(
    rf"(?:\\(?!pm|mp|left|right)[a-zA-Z]+\s*){{{MOST_COMMANDS_IN_A_ROW + 1},}}|[+-](?:\s*[+-]){{3,}}|(?:\|\s*){{5,}}"
    r"|(?:\\exp\s*[({]\s*){3,}|(?:\\frac\s*\{\s*(?:d|\\partial)\s*\}\s*\{[^{}]*\}\s*){4,}"
)
_DIGITS = re.compile(rf"\d{{{MOST_DIGITS + 1},}}")
_LETTER = re.compile(r"[^\W\d_]")
_VARIABLE = re.compile(r"[^\W\d_ei]")
_WORD = re.compile(rf"[^\W\d_]{{{LONGEST_WORD + 1},}}")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_EXPONENT = re.compile(r"(?:\^|\*\*)\s*")
_NUMBER = re.compile(r"[+-]?\s*(\d+(?:(?:[, ]|\\,|\{,\})\d{3})*)")
_SCIENTIFIC = re.compile(r"\d\.?[eE][+-]?\d{4,}|(?:\^|\*\*)\s*[{(]?\s*[\d.]+[eE]\+?\d")
_FACTORIAL = re.compile(rf"\d{{{LARGEST_FACTORIAL_DIGITS + 1},}}\s*!")
_BINOMIAL = re.compile(r"\\(?:[dt]?binom|Gamma|gamma)(?![a-zA-Z])")
_CHOOSE = re.compile(r"\\choose(?![a-zA-Z])")
_LONG_NUMBER = re.compile(rf"\d{{{LARGEST_BINOMIAL_DIGITS + 1},}}")
_SIZED = re.compile(r"\\operatorname\s*\{\s*(eye|zeros|ones|diag|hstack|vstack|ortho?\w*|svd|SVD|eig\w*)\s*\}")
_UNEVALUATED = re.compile(r"\\(sum|prod|i{1,3}nt|oint|lim)(?![a-zA-Z])")
_RANGE = re.compile(r"\\(?:sum|prod)(?![a-zA-Z])(?:\\limits)?")
_DETERMINANT = re.compile(r"\\det(?![a-zA-Z])|\{[vV]matrix\}")
_MACRO = re.compile(
    r"\\((?:[egx]?def|let|futurelet|(?:re)?newcommand|providecommand|DeclareMathOperator|newenvironment|csname|catcode"
    r"|expandafter|loop|repeat|input|include|write|openout|read|immediate|special|usepackage)(?![a-zA-Z]))|#\d"
)
_TERM = re.compile(r"[+\-*,;&]|\\\\")
_HARMLESS = re.compile(
    r"-?(?:[0-9][0-9., /]{0,40}|\\[dt]?frac\{-?[0-9]{1,40}\}\{[0-9]{1,40}\})(?:\\?%|\\text\{ ?[a-zA-Z]{1,12}\})?"
)
"""A figure or a fraction, with one word behind it at most: what most answers are, in which nothing below can be."""


def hazard(answer: str, reference: str) -> str:
    r"""Why an answer is refused unseen; empty when it may be computed.

    An unevaluated sum, product, integral or limit only restates the question, unless the reference is one.

    >>> hazard("9^{9^{9}}", "3")
    'refused: a tower of powers'
    """
    if _HARMLESS.fullmatch(answer):
        return ""
    checks: tuple[Callable[[str], str], ...] = (_size, _nesting, _commands, _powers, _combinatorics, _matrices)
    for check in checks:
        if found := check(answer):
            return f"refused: {found}"
    if (terms := len(_TERM.findall(answer))) > max(MOST_TERMS, 2 * len(_TERM.findall(reference))):
        return f"refused: {terms} terms"
    found = _unevaluated(answer, reference)
    return f"refused: {found}" if found else ""


def disguise(text: str) -> str:
    """Why a text may not be what it looks like; empty for an honest one.

    >>> disguise("42")
    ''
    """
    if _CONTROL.search(text):
        return "refused: control characters"
    return "refused: characters that hide or turn round others" if _DISGUISE.search(text) else ""


def _size(text: str) -> str:
    if len(text) > LONGEST:
        return f"an answer of {len(text)} characters"
    if found := disguise(text):
        return found.removeprefix("refused: ")
    if _DIGITS.search(text):
        return f"a number of more than {MOST_DIGITS} digits"
    return f"a word of more than {LONGEST_WORD} letters" if _WORD.search(text) else ""


def _nesting(text: str) -> str:
    depth = deepest = 0
    for bracket in _BRACKET.finditer(text):
        depth += 1 if bracket[0] in "([{" else -1
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        return f"brackets {deepest} deep"
    return "signs or commands upon each other" if _PREFIXES.search(text) else ""


def _commands(text: str) -> str:
    if macro := _MACRO.search(text):
        return f"a macro definition, {macro[0]}"
    sized = _SIZED.search(text)
    return f"a made-up matrix, {sized[1]}" if sized else ""


def _powers(text: str) -> str:
    """Towers (powers in numeric exponents), large exponents, and powers of powers that multiply to one."""
    if _SCIENTIFIC.search(text):
        return "an exponent of more than three digits"
    compounded = expanded = 1
    for base, exponent in _exponents(text):
        if _is_tower(exponent):
            return "a tower of powers"
        number = _NUMBER.search(exponent)
        size = int(re.sub(r"\D", "", number[1])) if number else 1
        if size > LARGEST_EXPONENT:
            return f"an exponent of {size}" if size < 10**12 else "an exponent beyond all measure"
        if base.endswith((")", "]", "}")):
            compounded *= max(size, 1)
            summands = len(re.findall(r"(?<=[^({\[,\s])\s*[+-]", base))
            expanded *= math.comb(size + summands, summands)
    if compounded > LARGEST_EXPONENT:
        return "powers of powers"
    if (factors := len(re.findall(r"\)\s*\(", text))) > MOST_FACTORS:
        return f"{factors} factors"
    return f"an expansion of {expanded} terms" if expanded > LARGEST_EXPANSION else ""


def _is_tower(exponent: str) -> bool:
    """Whether an exponent has to be worked out first, and may be beyond all measure: e^{e^2} is fine."""
    if _has(_VARIABLE, exponent):
        return False
    return "!" in exponent or len(_EXPONENT.findall(exponent)) > _has(_LETTER, exponent)


def _has(kind: re.Pattern[str], text: str) -> bool:
    """Whether there are letters of a kind in a text, apart from the names of commands."""
    return bool(kind.search(_COMMAND.sub("", text)))


def _exponents(text: str) -> Iterator[tuple[str, str]]:
    """(base, exponent) of each power, the base whole if it is a group, else its last character.

    A chain like 9^9^9 is one exponent, `9^9`.
    """
    for power in _EXPONENT.finditer(text):
        end = _group_end(text, power.end())
        while (following := _EXPONENT.match(text, end)) and following.end() < len(text):
            end = _group_end(text, following.end())
        before = text[: power.start()].rstrip()
        yield before[_group_start(before) :], text[power.end() : end]


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


def _group_start(text: str) -> int:
    """Where the group starts that ends a text: a bracketed one, or a single character."""
    depth = 0
    for i in range(len(text) - 1, -1, -1):
        depth += (text[i] in ")]}") - (text[i] in "([{")
        if depth <= 0:
            return i
    return 0


def _combinatorics(text: str) -> str:
    factorials = re.finditer(r"[)}\]!](?=\s*!)", text)
    if _FACTORIAL.search(text) or text.count("!") > MOST_FACTORIALS or any(map(_is_large_factorial, factorials)):
        return "a large factorial"
    if _CHOOSE.search(text) and _LONG_NUMBER.search(text):
        return "a large binomial"
    for command in _BINOMIAL.finditer(text):
        first = _group_end(text, command.end())
        arguments = text[command.end() : _group_end(text, first)]
        if _LONG_NUMBER.search(arguments) or re.search(r"\d\s*(?:\^|\*\*|!)", arguments):
            return "a large binomial"
    return ""


def _is_large_factorial(found: re.Match[str]) -> bool:
    """Whether a factorial of a group, or of a factorial, is of a number that had to be worked out first."""
    group = found.string[: found.end()]
    start = _group_start(group)
    if group[start:] == "!":
        return True
    is_power = found.string[:start].rstrip().endswith("^")
    return not _has(_LETTER, group[start:]) and (is_power or bool(re.search(r"[\^!*]|\\[a-z]|\d{3}", group[start:])))


def _matrices(text: str) -> str:
    entries = text.count("&") + text.count("\\\\") + 1
    most = MOST_ENTRIES_OF_A_DETERMINANT if _DETERMINANT.search(text) else MOST_ENTRIES
    return f"a matrix of some {entries} entries" if entries > most else ""


def _unevaluated(answer: str, reference: str) -> str:
    found = _UNEVALUATED.findall(answer)
    if not found:
        return ""
    if not _UNEVALUATED.search(reference):
        return f"an unevaluated \\{found[0]} is no answer"
    if len(found) > max(MOST_UNEVALUATED, len(_UNEVALUATED.findall(reference))):
        return f"{len(found)} unevaluated sums, integrals or limits"
    for sign in _RANGE.finditer(answer):
        lower = re.compile(r"\s*_?").match(answer, sign.end())
        middle = _group_end(answer, lower.end()) if lower else sign.end()
        upper = re.compile(r"\s*\^?").match(answer, middle)
        bounds = answer[sign.end() : _group_end(answer, upper.end()) if upper else middle]
        if re.search(rf"\d{{{LARGEST_RANGE_DIGITS + 1},}}|\d\s*(?:\^|\*\*|!)", bounds):
            return "a sum or product over a long range"
    return ""
