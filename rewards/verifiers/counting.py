"""How many there are."""

from __future__ import annotations

import re
from fractions import Fraction

from rewards.answers.numerals import CHINESE_DIGITS, ONES, TENS, WORDS
from rewards.registry import reward
from rewards.sample import Judgement, Sample
from rewards.verifiers.reading import committed, no_reference, nothing, number_and_percent, right_or_wrong

_VALUES = WORDS | {"none": 0}
_WORDS = re.compile(rf"\b({'|'.join(TENS)})[- ]({'|'.join(ONES[1:10])})\b|\b({'|'.join(_VALUES)})\b", re.IGNORECASE)
_NONE = re.compile(r"\bthere (?:is|are|was|were) no (?=[^\W\d_])", re.IGNORECASE)
_NUMERAL = re.compile(r"([一二三四五六七八九])?(十)([一二三四五六七八九])?|([零〇一二两三四五六七八九])")


@reward(inline=True)
def counting(sample: Sample, partial: bool = False) -> Judgement:
    """1 if the answer is the number that the reference is, in digits or in English or Chinese words.

    The answer is its one box, what follows "the answer is", or all of it: a number, perhaps with what was
    counted, or a sentence that states one number. Two different numbers are no answer.

    Example: reference `7`, right answer `There are seven cats.`

    Args:
        partial: pays near misses, too: 1 - |answer - reference| / reference, not below 0. It rewards guessing
            the usual number, so keep it for warming up.
    """
    wanted = _count(sample.reference or "")
    if wanted is None:
        return no_reference(f"a number, found {sample.reference!r}")
    answer = committed(sample.answer, worded=False)
    found = None if answer is None else _count(answer)
    if answer is None or found is None:
        return nothing(sample.answer)
    judgement = right_or_wrong(found == wanted, answer, [str(wanted)])
    if partial and wanted and not judgement.score:
        near = max(Fraction(0), 1 - abs(found - wanted) / abs(wanted))
        return Judgement(float(near), judgement.reason)
    return judgement


def _count(text: str) -> Fraction | None:
    """The number of a text, in digits if it has any, else in words; a percentage is no count."""
    text = _NONE.sub("there are 0 ", text)
    found = number_and_percent(text if any(map(str.isdigit, text)) else _NUMERAL.sub(_numeral, _WORDS.sub(_word, text)))
    return found[0] if found and not found[1] else None


def _word(found: re.Match[str]) -> str:
    tens, unit, single = found.groups()
    return str(_VALUES[single.lower()] if single else _VALUES[tens.lower()] + _VALUES[unit.lower()])


def _numeral(found: re.Match[str]) -> str:
    tens, ten, units, single = found.groups()
    return str(10 * CHINESE_DIGITS.get(tens, 1) + CHINESE_DIGITS.get(units, 0) if ten else CHINESE_DIGITS[single])
