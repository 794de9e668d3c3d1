r"""The think/answer structure of a response, whole or in parts."""

from __future__ import annotations

from rewards.registry import reward
from rewards.sample import Judgement, Sample
from rewards.structure import BOXED_TASKS, CLOSE, OPEN, boxes, format_fault, split


@reward(inline=True)
def structure(sample: Sample, partial: bool = False) -> Judgement:
    r"""1 if the response has the structure of its mode and task: `<think>reasoning</think>` and then an answer.

    Thinking mode wants one pair of tags, the first at the very start, reasoning that says something, and an
    answer that does. Direct mode wants an answer and no tags. For math and stem the answer has one `\boxed{}`,
    not empty. What says something has a letter or a digit.

    The components tags, start, reasoning, answer and box are recorded whether they pay or not.

    Example: right in thinking mode, for task math: `<think>2 and 3 are 5</think>\boxed{5}`

    Args:
        partial: pays the share of components that are right instead of all or nothing. A response without an
            answer still earns nothing: form without content must not pay.
    """
    parts = _components(sample)
    share = sum(parts.values()) / len(parts)
    fault = format_fault(split(sample.response, sample.thinking), sample.task)
    fault = fault or next((f"the {name} says nothing" for name, right in parts.items() if not right), "")
    if not fault:
        return Judgement(1.0, "well-formed", parts)
    return Judgement(share if partial and parts["answer"] else 0.0, fault, parts)


def _components(sample: Sample) -> dict[str, float]:
    text = sample.response
    response = split(text, sample.thinking)
    found = boxes(response.answer)
    boxed = sample.task in BOXED_TASKS
    opened, closed = text.count(OPEN), text.count(CLOSE)
    checks = {"tags": (opened, closed) == ((1, 1) if sample.thinking else (0, 0))}
    if sample.thinking:
        checks["start"] = text.lstrip().startswith(OPEN)
        checks["reasoning"] = _says_something(response.reasoning or "")
    checks["answer"] = any(map(_says_something, found)) if boxed and found else _says_something(response.answer)
    if boxed:
        checks["box"] = len(found) == 1 and bool(found[0])
    return {name: float(right) for name, right in checks.items()}


def _says_something(text: str) -> bool:
    """Whether there is a letter or a digit beyond an empty box and tags."""
    return any(character.isalnum() for character in text.replace("\\boxed", "").replace("\\fbox", ""))
