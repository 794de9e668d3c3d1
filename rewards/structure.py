r"""The structure of a response: `<think>reasoning</think>` and an answer, which for mathematics is in `\boxed{}`.

The answer is what follows the last `</think>`: a box inside the reasoning, finished or not, is no answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from halyard.tasks import Task

OPEN, CLOSE = "<think>", "</think>"
BOXED_TASKS: tuple[Task, ...] = ("math", "stem")
_BRACES = re.compile(r"(\\(?:boxed|fbox)\s*\{)|\\.|[{}]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Response:
    """A response in its parts; `fault` says why it has not the structure of its mode, and is empty if it has."""

    reasoning: str | None
    answer: str
    fault: str = ""

    @property
    def well_formed(self) -> bool:
        """Whether the response has the structure of its mode, whatever its answer looks like."""
        return not self.fault


def split(text: str, thinking: bool) -> Response:
    """The reasoning and the answer of a response, and whether it is well-formed in its mode.

    Thinking: one `<think>` at the start, one `</think>` after reasoning that is not empty, and an answer.
    Direct: no tags, and an answer.

    >>> split("<think>2 and 3</think>5", thinking=True)
    Response(reasoning='2 and 3', answer='5', fault='')
    """
    before, closed, after = text.rpartition(CLOSE)
    answer, _, unfinished = after.partition(OPEN)
    inside = before if closed else unfinished
    reasoning = inside.strip().removeprefix(OPEN).strip() or None
    answer = answer.strip()
    fault = _thinking_fault(text, reasoning) if thinking else _direct_fault(text)
    return Response(reasoning, answer, fault or ("" if answer else "there is no answer"))


def _thinking_fault(text: str, reasoning: str | None) -> str:
    opened, closed = text.count(OPEN), text.count(CLOSE)
    if (opened, closed) != (1, 1):
        return f"expected one {OPEN}…{CLOSE}, found {opened} openings and {closed} closings"
    if not text.lstrip().startswith(OPEN):
        return f"does not start with {OPEN}"
    return "" if reasoning else "the reasoning is empty"


def _direct_fault(text: str) -> str:
    return "has think tags in direct mode" if OPEN in text or CLOSE in text else ""


def format_fault(response: Response, task: Task) -> str:
    """Why a response has not the format of its mode and task; empty if it has.

    Mathematics wants exactly one box, not empty, after the reasoning; other tasks any text.
    """
    if response.fault or task not in BOXED_TASKS:
        return response.fault
    found = boxes(response.answer)
    if len(found) != 1:
        return f"expected one \\boxed{{}} in the answer, found {len(found)}"
    return "" if found[0] else "the box is empty"


class Span(NamedTuple):
    """Where a box is: `before` its command, `start` to `end` its content, `after` its closing brace."""

    before: int
    start: int
    end: int
    after: int


def box_spans(text: str) -> list[Span]:
    """Where all complete boxes are, outermost only, in order; linear in the text's length."""
    if "box" not in text:
        return []
    open_braces: list[tuple[int, int]] = []
    spans: list[Span] = []
    for token in _BRACES.finditer(text):
        if token[0] == "}":
            if open_braces:
                before, start = open_braces.pop()
                if before >= 0:
                    spans.append(Span(before, start, token.start(), token.end()))
        elif token[1] or token[0] == "{":
            open_braces.append((token.start() if token[1] else -1, token.end()))
    return _outermost(spans)


def boxes(text: str) -> list[str]:
    r"""The contents of all complete boxes in a text, outermost only, in order.

    >>> boxes(r"\boxed{\frac{1}{2}} or \fbox{3}, not \boxed{4")
    ['\\frac{1}{2}', '3']
    """
    return [text[span.start : span.end].strip() for span in box_spans(text)]


def _outermost(spans: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in sorted(spans):
        if not kept or span.start > kept[-1].end:
            kept.append(span)
    return kept


def last_boxed(text: str) -> str | None:
    r"""The content of the last complete box in a text, or None.

    >>> last_boxed(r"so \boxed{\sqrt{2}}.")
    '\\sqrt{2}'
    """
    found = boxes(text)
    return found[-1] if found else None
