"""True and false, yes and no, in English and Chinese."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from rewards.answers.kind import Decide
from rewards.answers.words import words
from rewards.normal import TEXT_MARK, spaced, tidy

_TRUE = frozenset(
    ("true", "yes", "t", "y", "correct", "right", "it is true", "√", "✓", "✔",
     "正确", "正确的", "对", "对的", "是", "是的", "真", "成立")
)  # fmt: skip
_FALSE = frozenset(
    ("false", "no", "f", "n", "incorrect", "wrong", "untrue", "×", "✗", "✘",
     "错误", "错误的", "错", "错的", "否", "不是", "不对", "不正确", "不成立", "假")
)  # fmt: skip
_NEGATED = re.compile(r"^(?:not|n t) ")


@lru_cache(maxsize=4096)
def truth(text: str) -> bool | None:
    """Whether a text says yes or no; None where it says neither, or both.

    >>> truth("The statement is false."), truth("not false"), truth("true or false")
    (False, True, None)
    """
    bare = spaced(tidy(text)).strip(f" {TEXT_MARK}.。")
    said = {"\\checkmark": "true", "\\times": "false"}.get(bare) or words(bare) or bare
    if len(said) == 1:  # n! is no "n"
        said = bare.lower()
    if said in _TRUE or said in _FALSE:
        return said in _TRUE
    first, comma, rest = re.sub(r"\s*(?:[;.]\s|—|–|--| - )\s*", ", ", bare).partition(",")
    if comma and (leading := truth(first)) is not None:
        return leading if truth(rest) in (leading, None) else None
    positive = _NEGATED.sub("", said)
    if len(positive) == 1 or positive == said or positive not in _TRUE | _FALSE:
        return None
    return positive in _FALSE


@dataclass(frozen=True, slots=True)
class Truth:
    """Yes or no, true or false."""

    value: bool

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer says the same, and not the contrary too."""
        return truth(answer) is self.value
