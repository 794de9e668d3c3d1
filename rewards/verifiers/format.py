r"""The think/answer structure of a response, whole or in parts."""

from __future__ import annotations

import re
import unicodedata

from halyard.tasks import Task
from rewards.normal import tidy
from rewards.registry import reward
from rewards.sample import Judgement, Sample
from rewards.structure import BOXED_TASKS, CLOSE, OPEN, Response, boxes, format_fault, split

_SETTING = re.compile(
    r"</?think>|\\(?:boxed|fbox|text|mbox|quad|qquad|left|right|displaystyle|(?:h|v)space|[hv]?phantom|math[a-z]+|text[a-z]+)"
    r"(?![a-zA-Z])"
)
_IDLE = frozenset("$^`~|")


@reward(inline=True)
def structure(sample: Sample, partial: bool = False) -> Judgement:
    r"""1 if the response has the structure of its mode and task: `<think>reasoning</think>` and then an answer.

    Thinking mode wants one pair of tags, the first at the very start, reasoning that says something, and an
    answer that does. Direct mode wants an answer and no tags. For math and stem the answer has one `\boxed{}`,
    not empty. What says something has a letter, a digit or a symbol.

    The components tags, start, reasoning, answer and box are recorded whether they pay or not.

    Example: right in thinking mode, for task math: `<think>2 and 3 are 5</think>\boxed{5}`

    Args:
        partial: pays the share of components that are right instead of all or nothing. A response without an
            answer still earns nothing: form without content must not pay.
    """
    judgement = form(sample.response, sample.thinking, sample.task)
    if not partial or not judgement.parts["answer"]:
        return judgement
    return judgement._replace(score=sum(judgement.parts.values()) / len(judgement.parts))


def form(text: str, thinking: bool, task: Task) -> Judgement:
    """1 for a response with the structure of its mode and task, else 0 and what is wrong; with the components."""
    response = split(text, thinking)
    parts = _components(text, response, thinking, task)
    fault = format_fault(response, task)
    fault = fault or next((f"the {name} says nothing" for name, right in parts.items() if not right), "")
    return Judgement(float(not fault), fault or "well-formed", parts)


def _components(text: str, response: Response, thinking: bool, task: Task) -> dict[str, float]:
    found = boxes(response.answer)
    boxed = task in BOXED_TASKS
    checks = {"tags": (text.count(OPEN), text.count(CLOSE)) == ((1, 1) if thinking else (0, 0))}
    if thinking:
        checks["start"] = text.lstrip().startswith(OPEN)
        checks["reasoning"] = says_something(response.reasoning or "")
    checks["answer"] = any(map(says_something, found)) if boxed and found else says_something(response.answer)
    if boxed:
        checks["box"] = len(found) == 1 and bool(found[0])
    return {name: float(right) for name, right in checks.items()}


def says_something(text: str) -> bool:
    """Whether there is a letter, a digit or a symbol such as + or ≤ beyond commands that only set text."""
    written = _SETTING.sub("", tidy(text))
    return any(unicodedata.category(one)[0] in "LNS" and one not in _IDLE for one in written)
