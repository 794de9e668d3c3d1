"""A judge's reply, read: an answer to every criterion from its closed set, or none at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from configs.rubric import CANNOT_TELL, Criterion, Rubric
from rewards.judges.unanswered import Nonsense
from rewards.judges.wording import CODE
from rewards.sample import brief

LONGEST = 32_000
"""Characters at the end of a reply in which the verdict is looked for."""
_LONGEST_REASON = 400
_THOUGHT = "</think>"


@dataclass(frozen=True, slots=True)
class Ruling:
    """One vote: answers and reasons by criterion, and the version of the judge as it reports itself."""

    answers: Mapping[str, str]
    reasons: Mapping[str, str] = field(default_factory=dict)
    version: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values, to be kept."""
        return asdict(self)


def read_word(text: str, rubric: Rubric) -> dict[str, str]:
    """The answer of a judge that says one word.

    Raises:
        Nonsense: it is none of the criterion's answers.
    """
    word = text.strip().rstrip(".!").casefold()
    (criterion,) = rubric.criteria
    if word not in criterion.answers:
        raise Nonsense(f"it said none of {', '.join(criterion.answers)}: {brief(text)!r}")
    return {criterion.name: word}


def read_form(text: str, rubric: Rubric, code: str) -> tuple[dict[str, str], dict[str, str]]:
    """Answers and reasons of a judge that was asked for JSON: the last object in the reply that has the code.

    A judge may think aloud, quote what it judges, or put its JSON into a code block: none of that has the code.

    Raises:
        Nonsense: there is no such object, or it is not of the form.
    """
    found = _last_object(text[-LONGEST:].rpartition(_THOUGHT)[2], code)
    if found is None:
        raise Nonsense(f"it gave no JSON with the code it was to give: {brief(text)!r}")
    answers, reasons = {}, {}
    for criterion in rubric.criteria:
        part = found.get(criterion.name)
        said = part.get("answer") if isinstance(part, dict) else part
        answer = _label(said, criterion)
        if answer is None:
            raise Nonsense(f"its answer on {criterion.name} is {brief(json.dumps(said))}, none of the answers")
        answers[criterion.name] = answer
        reason = part.get("reason") if isinstance(part, dict) else None
        reasons[criterion.name] = brief(reason, _LONGEST_REASON) if isinstance(reason, str) else ""
    return answers, reasons


def _label(said: object, criterion: Criterion) -> str | None:
    """The answer that was meant, whatever its case, or written as a number; None for none of the set."""
    if not isinstance(said, str | int) or isinstance(said, bool):
        return None
    meant = str(said).strip().casefold()
    return next((label for label in (*criterion.answers, CANNOT_TELL) if label.casefold() == meant), None)


def _last_object(text: str, code: str) -> dict[str, Any] | None:
    """The last JSON object of a text that has the code, whatever stands around it."""
    decoder = json.JSONDecoder()
    end = text.rfind(code)
    start = text.rfind("{", 0, end) if end >= 0 else -1
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and found.get(CODE) == code:
            return found
        start = text.rfind("{", 0, start)
    return None
