r"""Is the final answer right? Strings and exact numbers first, algebra only when they cannot tell.

- math, stem: the last answer that the response commits to counts (`rewards.answers.commitment`), compared as the kind
  of thing that the reference is (`rewards.answers.references`). In math numbers are exact: `0.333` is not `1/3`. In
  stem they count within 1 %, in any unit of the same dimension; a bare number is in the reference's unit.
- exact: the text, with case, spaces and punctuation set aside; a single box around it is opened.
- Hostile answers are refused unseen, and wrong.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from halyard.tasks import Task
from rewards.answers.commitment import final
from rewards.answers.kind import Kind
from rewards.answers.lists import Either, Listed
from rewards.answers.measured import TOLERANCE, Measured
from rewards.answers.references import WORDED
from rewards.answers.references import reference as read
from rewards.failures import failed
from rewards.hazards import LONGEST, disguise, hazard
from rewards.identity import identity
from rewards.normal import TEXT_MARK, compact, plain, spaced, tidy
from rewards.sample import Judgement, brief
from rewards.structure import boxes, split

_ASIDE = re.compile(
    r"[\s,;(]*(?:\\text\{[\s,(]*)?\b(?:since|because)\b.*$"
    r"|[\s,]*(?:\\text\{\s*)?\(\s*(?:\\text\{\s*)?(?:as|given)\b.*$|[，,]?因为.*$",
    re.DOTALL,
)
_WORKED = re.compile(r"[+*^!]|\\(?:cdot|times|binom)(?![a-zA-Z])")


class Question(NamedTuple):
    """A comparison that takes algebra: does the answer equal the reference?"""

    answer: str
    reference: str
    task: Task = "math"
    prompt: str = ""
    tolerance: float = TOLERANCE


def grade(answer: str, reference: str | None, task: Task, prompt: str = "", tolerance: float = TOLERANCE) -> Judgement:
    r"""1 or 0 with the reason, or no score where the reference cannot be read; `answer` is without the reasoning.

    The algebra runs here and without a limit of time: for answers that someone else wrote there is
    `rewards.grader.Grader`, which gives the same verdicts from processes that can be killed.

    >>> grade(r"so it is \boxed{0.5}", "1/2", "math")
    Judgement(score=1.0, reason='0.5 equals 1/2', parts={})
    """
    decided = quick(answer, reference, task, prompt, tolerance)
    if isinstance(decided, Judgement):
        return decided
    from rewards.symbolic import equal

    return equal(decided)


def quick(
    answer: str, reference: str | None, task: Task, prompt: str = "", tolerance: float = TOLERANCE
) -> Judgement | Question:
    """The judgement where strings and numbers decide it, in some microseconds; else the question for algebra.

    `prompt` is the text of the question, which lists the options of a multiple choice; `tolerance` is for stem.
    """
    if reference is None or not reference.strip():
        return failed("bad reference", "there is none to compare with")
    if task == "open":
        return failed("bad reference", "an open question: no rule can judge its answer")
    if "think>" in answer:
        answer = split(answer, thinking=True).answer
    if task == "exact":
        return _exact(answer, reference)
    kind = read(reference, task, prompt, tolerance)
    chosen = final(answer, _is_list(kind), isinstance(kind, WORDED))
    if chosen.fault:
        return Judgement(0.0, chosen.fault)
    if len(chosen.text) > max(LONGEST, 2 * len(reference)):
        return Judgement(0.0, f"refused: an answer of {len(chosen.text)} characters")
    if hidden := disguise(chosen.text):
        return Judgement(0.0, hidden)
    said = chosen.text if _ASIDE.search(reference) else _ASIDE.sub("", chosen.text)
    question = Question(tidy(said), reference, task, prompt, tolerance)
    return _compare(question, kind)


def _exact(answer: str, reference: str) -> Judgement:
    found = boxes(answer)
    answer = found[0] if len(found) == 1 else answer
    if hidden := disguise(answer):
        return Judgement(0.0, hidden)
    wanted = plain(reference)
    right = plain(answer) == wanted if wanted else answer.strip() == reference.strip()
    return judgement(right, answer, reference)


def judgement(right: bool, answer: str, reference: str) -> Judgement:
    """1 or 0, and what equals or is not what."""
    return Judgement(float(right), f"{brief(answer)} {'equals' if right else 'is not'} {brief(reference)}")


def _is_list(kind: Kind) -> bool:
    return isinstance(kind, Listed) or (isinstance(kind, Either) and any(isinstance(one, Listed) for one in kind.kinds))


def _compare(question: Question, kind: Kind) -> Judgement | Question:
    answer, reference = question.answer, question.reference
    if not answer:
        return Judgement(0.0, "the box is empty")
    if answer == reference:
        return judgement(True, answer, reference)
    if refused := hazard(answer, reference):
        return Judgement(0.0, refused)
    verdict = kind.same(answer, same_expression)
    if verdict is None:
        return question
    if verdict and _handed_back(question, kind):
        return Judgement(0.0, f"{brief(answer)} is the question itself")
    return judgement(verdict, answer, reference)


def same_expression(answer: str, reference: str) -> bool | None:
    """Whether two expressions in formula form are the same, in microseconds; None where that takes algebra."""
    if answer == reference or answer.replace(TEXT_MARK, "") == reference.replace(TEXT_MARK, ""):
        return True
    return identity(answer, reference)


def _handed_back(question: Question, kind: Kind) -> bool:
    """Whether the answer to a number is a calculation that the prompt had in it already."""
    if not question.prompt or not isinstance(kind, Measured) or not _WORKED.search(question.answer):
        return False
    asked, answered = (compact(spaced(text)) for text in (question.prompt, question.answer))
    return answered in asked and answered != compact(spaced(tidy(question.reference)))
