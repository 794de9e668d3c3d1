"""Answers compared as text: the same words, or a pattern that matches."""

from __future__ import annotations

import re
from typing import Literal

import regex

from rewards.failures import failed
from rewards.registry import reward
from rewards.sample import Judgement, Sample, brief
from rewards.verifiers.reading import (
    Part,
    committed,
    no_reference,
    nothing,
    part_of,
    references,
    right_or_wrong,
    same_text,
)

SECONDS = 0.2
"""What one search may take. A pattern that a user wrote can be made to backtrack for ever by a text."""


@reward(inline=True)
def exact(sample: Sample, strict: bool = False) -> Judgement:
    r"""1 if the answer is the reference, word for word, with case, idle spaces and punctuation set aside.

    The answer is the content of its one box, what follows "the answer is", or all of it; different boxes are no
    answer. The reference may be a JSON list of texts of which one must match.

    Example: reference `The Red Lion`, right answer `the red lion.`

    Args:
        strict: whether case and punctuation count, too; only space around the answer does not.
    """
    wanted = references(sample)
    if not wanted:
        return no_reference("a text to compare with, there is none")
    answer = sample.answer.strip() if strict and "\\boxed" not in sample.answer else committed(sample.answer)
    if not answer:
        return nothing(sample.answer)
    if strict:
        return right_or_wrong(answer in wanted, answer, wanted)
    return right_or_wrong(any(same_text(answer, one) for one in wanted), answer, wanted)


@reward
def pattern(
    sample: Sample,
    pattern: re.Pattern[str] | None = None,
    part: Part = "answer",
    match: Literal["whole", "anywhere", "nowhere"] = "whole",
    ignore_case: bool = False,
) -> Judgement:
    r"""1 if a regular expression matches.

    It is searched for at most 0.2 s: a pattern that backtracks without end on a text fails the verdict, and
    cannot hang a run. Without a pattern of its own, the sample's reference is the pattern.

    Example: pattern `[A-D]{2}\d+`, right answer `AB12`

    Args:
        pattern: the regular expression, in Python's syntax; none takes the reference of each sample.
        part: what is searched: the answer, the reasoning, or the whole response with its tags.
        match: the pattern matches the whole part (without space around it), anywhere in it, or nowhere.
        ignore_case: whether upper and lower case are the same.
    """
    written = pattern.pattern if pattern else sample.reference
    if not written:
        return no_reference("a regular expression, either as the parameter pattern or as the reference; there is none")
    text = part_of(sample, part).strip()
    if not text:
        return Judgement(0.0, f"the {part} is empty")
    try:
        compiled = regex.compile(written, regex.IGNORECASE if ignore_case else 0)
        search = compiled.fullmatch if match == "whole" else compiled.search
        found = search(text, timeout=SECONDS) is not None
    except regex.error as error:
        return failed("bad reference", f"the regular expression {brief(written)!r} cannot be read: {error}")
    except TimeoutError:
        return failed("timeout", f"the regular expression {brief(written)!r} took more than {SECONDS:g} s on this text")
    verb = "matches" if found else "does not match"
    return Judgement(float(found != (match == "nowhere")), f"{brief(written)} {verb} {brief(text)}")
