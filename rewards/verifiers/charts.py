"""Answers read off charts: numbers within a tolerance, words exactly."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import Field

from rewards.answers.truth import truth
from rewards.answers.words import words
from rewards.registry import reward
from rewards.sample import Judgement, Sample
from rewards.verifiers.reading import (
    committed,
    no_reference,
    nothing,
    number_and_percent,
    references,
    right_or_wrong,
    same_text,
)

YEARS = range(1800, 2101)


@reward(inline=True)
def relaxed_accuracy(
    sample: Sample, tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.05, exact_years: bool = False
) -> Judgement:
    """1 if the answer is within 5 % of a numeric reference, or the same words as one that is not numeric.

    The difference is relative to the reference; a reference of 0 wants 0. `12 %` agrees with `12` and with `0.12`,
    as charts give percentages either way. The reference may be a JSON list of answers of which one must match.

    Source: relaxed accuracy, Methani et al. 2020 (PlotQA, arXiv 1909.00997) and Masry et al. 2022 (ChartQA,
    arXiv 2203.10244). `exact_years` is after Masry et al. 2025 (ChartQAPro, arXiv 2504.05506).

    Example: reference `41.2`, right answer `42`

    Args:
        tolerance: largest difference, as a share of the reference.
        exact_years: whether whole numbers from 1800 to 2100 must be met exactly: 5 % of a year is a century.
    """
    wanted = references(sample)
    if not wanted:
        return no_reference("a number or a text, there is none")
    answer = committed(sample.answer, worded=not all(map(number_and_percent, wanted)))
    if answer is None:
        return nothing(sample.answer)
    return right_or_wrong(any(_agrees(answer, one, tolerance, exact_years) for one in wanted), answer, wanted)


def _agrees(answer: str, reference: str, tolerance: float, exact_years: bool) -> bool:
    wanted, found = number_and_percent(reference), number_and_percent(answer)
    if wanted is None:
        return same_text(answer, reference) or _says(answer, reference)
    if found is None:
        return False
    allowed = Fraction(0) if exact_years and wanted[0] in YEARS else Fraction(str(tolerance))
    return any(abs(one - wanted[0]) <= allowed * abs(wanted[0]) for one in _readings(found, wanted))


def _says(answer: str, reference: str) -> bool:
    """Whether a sentence comes to the same words, or the same yes or no; formulas are no sentences."""
    if "\\" in answer + reference:
        return False
    wanted = truth(reference)
    return (
        truth(answer) is wanted if wanted is not None else bool(words(reference)) and words(answer) == words(reference)
    )


def _readings(found: tuple[Fraction, bool], wanted: tuple[Fraction, bool]) -> list[Fraction]:
    """The answer's number in the reference's form: as it stands, and turned if only one of them is a percentage."""
    (value, percent), wants_percent = found, wanted[1]
    if percent == wants_percent:
        return [value]
    return [value, value / 100 if percent else value * 100]
