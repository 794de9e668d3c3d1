"""Answers to mathematics and science, graded by value and kind."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rewards.answer import grade
from rewards.registry import reward
from rewards.sample import Judgement, Sample


@reward
def math(sample: Sample) -> Judgement:
    r"""1 if the final answer equals the reference, exactly: numbers, sets, intervals, matrices, equations, words.

    The last answer that is committed to after the reasoning counts: in a box, else labelled, else what the last
    sentence states.

    Example: reference `\frac{1}{2}`, right answer `\boxed{0.5}`
    """
    return grade(sample.answer, sample.reference, "math", sample.prompt)


@reward
def stem(sample: Sample, tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.01) -> Judgement:
    r"""1 if the final answer agrees with the reference of a question in science, in whatever unit it is given.

    Quantities, formulas, chemical equations, choices by letter or text, true or false, lists, ranges, dates, words.

    Example: reference `36 km/h`, right answer `\boxed{10 m/s}`

    Args:
        tolerance: relative difference up to which two figures are the same.
    """
    return grade(sample.answer, sample.reference, "stem", sample.prompt, tolerance)
