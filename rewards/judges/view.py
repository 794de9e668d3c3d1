"""What a judge sees of a response, and what is decided without asking one."""

from __future__ import annotations

import re

from configs.rubric import FIELD, Rubric
from rewards.judges.screen import clean, emptiness, flattery
from rewards.sample import Judgement, Sample
from rewards.structure import BOXED_TASKS, format_fault, last_boxed, split

ECHO = 4
"""Words of a question, one after the other, that no response has by chance."""


def unasked(rubric: Rubric, sample: Sample) -> Judgement | None:
    """The judgement on a response that needs no judge; None where one is to be asked.

    A malformed response scores 0, and so does one that says nothing or works on the judge. A direct answer has no
    reasoning that could be unsound: it scores 1 where reasoning is judged.
    """
    fault = format_fault(split(sample.response, sample.thinking), sample.task)
    if fault:
        return Judgement(0.0, f"not asked: {fault}")
    for name in ("reasoning", "answer"):
        text = _text(name, sample) if name in rubric.shows else None
        if text is None:
            continue
        if empty := emptiness(text):
            return Judgement(0.0, f"not asked: the {name} says nothing: {empty}")
        if rubric.refuses_flattery and (tried := flattery(text) or _echo(rubric, text)):
            return Judgement(0.0, f"not asked: the {name} works on the judge: {tried}")
    if rubric.needs_reasoning and not sample.thinking:
        return Judgement(1.0, "no reasoning to disagree with")
    return None


def _echo(rubric: Rubric, text: str) -> str:
    """Whether a text has the words of a question that is put without a fence: it would pass for the question."""
    if rubric.wording is None:
        return ""
    asked = (_runs(part) for part in FIELD.split(rubric.wording)[::2])
    return "it repeats the question" if not _runs(text).isdisjoint(set().union(*asked)) else ""


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return set(zip(*(words[start:] for start in range(ECHO)), strict=False))


def texts(rubric: Rubric, sample: Sample, *names: str) -> tuple[tuple[str, str], ...]:
    """What is shown of a sample by the rubric, of these names alone, cleaned; without what it does not have."""
    found = ((name, _text(name, sample)) for name in rubric.shows if name in names)
    return tuple((name, clean(text, rubric.longest)) for name, text in found if text is not None)


def _text(name: str, sample: Sample) -> str | None:
    """The prompt, reference, reasoning or final answer of a sample; of a boxed answer what is in the box."""
    if name == "answer":
        boxed = last_boxed(sample.answer) if sample.task in BOXED_TASKS else None
        return sample.answer if boxed is None else boxed
    return {"prompt": sample.prompt, "reference": sample.reference, "reasoning": sample.reasoning}.get(name)
