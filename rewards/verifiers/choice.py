"""Multiple choice: a letter, the text of an option, or both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rewards.answer import quick
from rewards.answers.choices import LETTERS, options, reference
from rewards.failures import failed
from rewards.registry import reward
from rewards.sample import Judgement, Sample, brief
from rewards.verifiers.reading import LONGEST

_DOUBTED = re.compile(
    r"\b(?i:cannot|can't|unable to|reference answer|do(?:n't| not) know|someone|give up)\b|无法|不知道"
    r"|\bor \(?[A-J]\b(?! \w)"
)
"""Words that leave it unsure whether the letter beside them is meant as the answer."""


@reward
def choice(sample: Sample) -> Judgement:
    r"""1 if the answer chooses the right option, by its letter, its text, or both if they agree.

    The reference is the letter (several, as `A, C`, where several options are right) or the text of an option. The
    options are the metadata `options`, a list or `{"A": "…"}`, or else those that the prompt lists. Two different
    letters, a letter with the text of another option, and all options listed are wrong.

    Example: reference `B`, metadata `{"options": ["a cat", "a dog"]}`, right answer `\boxed{B. a dog}`
    """
    wanted = (sample.reference or "").strip()
    listed = sample.metadata.get("options")
    texts = options(sample.prompt) if listed is None else _by_letter(listed)
    if texts is None:
        return failed("bad reference", f"expected options as a list or by letter, found {brief(str(listed))!r}")
    if reference(wanted) is None and wanted not in texts.values():
        return failed(
            "bad reference", f"expected a letter of {LETTERS} or the text of an option, found {brief(wanted)!r}"
        )
    if _DOUBTED.search(sample.answer[:LONGEST]):
        return Judgement(0.0, f"no choice in {brief(sample.answer)!r}")
    prompt = "\n".join(f"{letter}. {text}" for letter, text in texts.items())
    decided = quick(sample.answer, wanted, "stem", prompt)
    if isinstance(decided, Judgement):
        return decided
    return Judgement(0.0, f"{brief(decided.answer)} is no option")


def _by_letter(listed: Any) -> dict[str, str] | None:
    """The options by letter; None where they are in no known form."""
    if isinstance(listed, Mapping) and all(isinstance(key, str) and key in LETTERS for key in listed):
        return {key: str(text) for key, text in listed.items()}
    if isinstance(listed, list | tuple) and len(listed) <= len(LETTERS):
        return dict(zip(LETTERS, map(str, listed), strict=False))
    return None
