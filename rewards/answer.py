r"""Is the final answer right? Strings and exact numbers first, algebra only when they cannot tell.

- math, stem: the one `\boxed{}` of the answer counts. Numbers are compared exactly, `0.333` is not `1/3`. For
  stem what stands behind a number is its unit; a bare number is in the reference's unit, another unit is wrong.
- exact: the text, with case, spaces and punctuation set aside; a single box around it is opened.
- Several different boxes are no commitment, and wrong. Hostile answers are refused unseen, and wrong.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from halyard.tasks import Task
from rewards.hazards import LONGEST, hazard
from rewards.normal import TEXT_MARK, formula, plain, tidy, unassigned
from rewards.quantities import quantity, same
from rewards.sample import Judgement, brief
from rewards.structure import boxes

_WORD = re.compile(rf"{TEXT_MARK}[^\W\d_][^\W\d_ -]*|[^\W\d_]{{3,}}(?:[ -]?[^\W\d_]+)*")
_DECIMAL = re.compile(r"-?\d+(\.\d+)?")
_CHOICE = re.compile(rf"{TEXT_MARK}?\(?{TEXT_MARK}?([A-J])\)?")


class Question(NamedTuple):
    """A comparison that takes algebra: does the answer equal the reference?"""

    answer: str
    reference: str


def grade(answer: str, reference: str | None, task: Task) -> Judgement:
    r"""1 or 0 with the reason, or no score where the reference cannot be read; `answer` is without the reasoning.

    The algebra runs here and without a limit of time: for answers that someone else wrote there is
    `rewards.grader.Grader`, which gives the same verdicts from processes that can be killed.

    >>> grade(r"so it is \boxed{0.5}", "1/2", "math")
    Judgement(score=1.0, reason='0.5 equals 1/2', parts={})
    """
    decided = quick(answer, reference, task)
    if isinstance(decided, Judgement):
        return decided
    from rewards.symbolic import equal

    return equal(decided)


def quick(answer: str, reference: str | None, task: Task) -> Judgement | Question:
    """The judgement where strings and numbers decide it, in some microseconds; else the question for algebra."""
    if reference is None or not reference.strip():
        return Judgement(None, "no reference answer: there is nothing to compare with")
    if task == "open":
        return Judgement(None, "an open question: no rule can judge its answer")
    found = boxes(answer)
    if task == "exact":
        return _exact(found[0] if len(found) == 1 else answer, reference)
    if not found:
        return Judgement(0.0, "no \\boxed{}")
    different = _different(found, task)
    if len(different) > 1:
        return Judgement(0.0, f"{len(different)} different boxes: {brief(', '.join(different[:5]))}")
    return _compare(found[-1], reference, task) if found[-1] else Judgement(0.0, "the box is empty")


def _exact(answer: str, reference: str) -> Judgement:
    wanted = plain(reference)
    right = plain(answer) == wanted if wanted else answer.strip() == reference.strip()
    return _judgement(right, answer, reference)


def _judgement(right: bool, answer: str, reference: str) -> Judgement:
    return Judgement(float(right), f"{brief(answer)} {'equals' if right else 'is not'} {brief(reference)}")


def _different(found: list[str], task: Task) -> list[str]:
    """The boxes that are not plainly the same as the first."""
    others = [box for box in dict.fromkeys(found[1:]) if box != found[0]]
    unequal = [box for box in others if _plainly_equal(box, found[0], task) is not True]
    return [found[0], *unequal]


def _compare(answer: str, reference: str, task: Task) -> Judgement | Question:
    boxed = boxes(reference)
    reference = tidy(boxed[-1] if boxed else reference)
    if len(answer) > max(LONGEST, 2 * len(reference)):
        return Judgement(0.0, hazard(answer, reference))
    equal = _plainly_equal(answer, reference, task)
    if equal is not None:
        return _judgement(equal, answer, reference)
    answer = tidy(answer)
    refused = hazard(answer, reference)
    if refused:
        return Judgement(0.0, refused)
    return Question(answer, _readable(reference))


def _readable(reference: str) -> str:
    """The reference as algebra reads it: to a LaTeX parser, 1.6e-19 is a product with Euler's number."""
    number = None if _DECIMAL.fullmatch(reference) else quantity(formula(reference))
    if number is None or number.unit:
        return reference
    return f"\\frac{{{number.figure.numerator}}}{{{number.figure.denominator}}}"


def _plainly_equal(answer: str, reference: str, task: Task) -> bool | None:
    """Whether two boxed answers are equal, where strings and numbers can tell."""
    if answer == reference:
        return True
    left, right = formula(tidy(answer)), formula(tidy(reference))
    if "=" not in right:
        if _contradicts_itself(left, task):
            return False
        left = unassigned(left)
    if left == right or left.replace(TEXT_MARK, "") == right.replace(TEXT_MARK, ""):
        return True
    number, wanted = quantity(left), quantity(right)
    if number and wanted:
        return same(number, wanted, task)
    return _same_words(left, right, answer, reference)


def _contradicts_itself(normal: str, task: Task) -> bool:
    """Whether a chain like 41=42 equates different numbers: two answers, of which one may be right."""
    numbers = [number for side in normal.split("=")[:5] if (number := quantity(side))] if "=" in normal else []
    return any(same(number, numbers[0], task) is False for number in numbers[1:])


def _same_words(left: str, right: str, answer: str, reference: str) -> bool | None:
    """Words are no products of letters: `listen` is not `silent`, and choice B is not b."""
    choice, chosen = _CHOICE.fullmatch(right), _CHOICE.fullmatch(left)
    if choice and chosen:
        return choice[1] == chosen[1]
    if _WORD.fullmatch(right):
        return plain(left.replace(TEXT_MARK, " ")) == plain(right.replace(TEXT_MARK, " ")) or plain(answer) == plain(
            reference
        )
    return None
