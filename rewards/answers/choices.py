r"""Multiple choice, true and false: a letter, the text behind it, or both, as long as they agree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from rewards.answers.kind import Decide, Kind
from rewards.answers.words import words
from rewards.normal import TEXT_MARK, spaced, tidy

LETTERS = "ABCDEFGHIJ"

_LEAD = re.compile(
    r"^(?:(?:therefore|thus|hence|so|then|所以|因此|故),? ?|(?:the )?(?:correct |right |final |正确)?"
    r"(?:answer|option|choice|letter|选项?|答案)s?"
    r"(?: is| are|是|:)?(?: therefore| thus| then| hence)? ?[:：]?)+\s*",
    re.IGNORECASE,
)
_ONE = re.compile(r"\(?\s*([A-Ja-j])\s*\)?\s*[.:]?")
_WITH_TEXT = re.compile(r"(?:\(\s*([A-J])\s*\)|([A-J])\s*[).:,]|([A-J]) [-]|([a-j])\s*\)|([A-J])\s*(?=\())\s*(.+)")
_SEVERAL = re.compile(r"\(?[A-J]\)?(?:[\s,;、&]*(?:and|[和及])?[\s,;、&]*\(?(?<![A-Za-z])[A-J]\)?)+", re.IGNORECASE)
_TOGETHER = re.compile(r"[A-J]{2,}")
_DOUBTED = re.compile(
    r"\b(?:but|cannot|can't|not sure|unsure|maybe|perhaps|guess)\b|(?<![a-z])(?:or|and|/|或)\s*\(?[A-J]\b(?! \w)",
    re.IGNORECASE,
)
"""Words that leave it unsure whether the letter before them is meant."""
_BEHIND = re.compile(r"(.+?)\s*\(\s*([A-J])\s*\)")
_OPTION = re.compile(r"(?:^|[\s(（])\(?([A-J])\s*[).:．、）]\s*")
_CORRECT = re.compile(
    r"(?<=^[A-Ja-j]) is (?:the )?(?:correct|right|true)(?: answer| option| choice| one)?\.?$"
    r"|(?<=^[A-J]) ?(?:是|为)?(?:正确|对)的?$"
)
_CIRCLED = re.compile(rf"[①-⑳](?:[\s{TEXT_MARK},;、和与]*[①-⑳])*")
_RULED_OUT = re.compile(r"[,;]?\s*(?:and |but )?not \(?[A-J]\)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The letters of the right options; `texts` are those of all options that are known, `kinds` those read."""

    letters: frozenset[str]
    texts: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    def same(self, answer: str, decide: Decide) -> bool | None:
        """Whether the answer chooses these options and no others, by letter, text or both."""
        text = self._without_denied(_bare(answer))
        found = letters(text)
        if found:
            return found == self.letters
        if len(self.letters) > 1:
            return False
        (right,) = self.letters
        both = _WITH_TEXT.fullmatch(text)
        if both:
            letter = next(filter(None, both.groups())).upper()
            return letter == right and self._agrees(right, both[6])
        behind = _BEHIND.fullmatch(text)
        if behind:
            return behind[2] == right and self._agrees(right, behind[1])
        kind = self.kinds.get(right)
        if kind is None:
            return False
        return (words(text) == words(self.texts[right]) != "") or kind.same(text, decide)

    def _without_denied(self, text: str) -> str:
        """The text without another option that it rules out behind the one that it chooses."""
        chosen, _, denied = text.partition(", not ")
        others = [kind for letter, kind in self.kinds.items() if letter not in self.letters]
        return chosen if denied and any(kind.same(denied, lambda *_: None) is True for kind in others) else text

    def _agrees(self, letter: str, text: str) -> bool:
        """Whether the text beside a letter does not belong to another option."""
        text = text.split(" because ")[0]
        if letters(text) or words(text) in LETTERS.lower() or _DOUBTED.search(text):
            return False
        own = self.kinds.get(letter)
        if own is None or _same_text(own, self.texts[letter], text):
            return True
        if len(self.texts) == 1:
            return False
        return not any(_same_text(kind, self.texts[one], text) for one, kind in self.kinds.items() if one != letter)


@dataclass(frozen=True, slots=True)
class Circled:
    """Statements that are right, by the circled numbers before them."""

    marks: frozenset[str]

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer names the same ones."""
        return circled(answer) == self.marks


def circled(text: str) -> frozenset[str]:
    """The circled numbers that a text consists of; none where it is something else.

    >>> sorted(circled("②、①"))
    ['①', '②']
    """
    found = _CIRCLED.fullmatch(spaced(text).strip(f" {TEXT_MARK}"))
    return frozenset(re.findall("[①-⑳]", text)) if found else frozenset()


def _same_text(kind: Kind, wanted: str, text: str) -> bool:
    return words(wanted) == words(text) or kind.same(text, lambda *_: None) is True


def _bare(answer: str) -> str:
    text = spaced(tidy(answer)).replace(TEXT_MARK, " ").replace("**", "").strip()
    text = " ".join(text.split()).removeprefix("\\{").removesuffix("\\}").strip()
    return _RULED_OUT.sub("", _CORRECT.sub("", _LEAD.sub("", text))).strip().rstrip(".")


@lru_cache(maxsize=4096)
def letters(text: str) -> frozenset[str]:
    """The letters that a text without markup consists of; none where it is something else.

    >>> sorted(letters("A, C")), sorted(letters("carbon"))
    (['A', 'C'], [])
    """
    one = _ONE.fullmatch(text)
    if one:
        return frozenset(one[1].upper())
    if _TOGETHER.fullmatch(text):
        return frozenset(text)
    if _SEVERAL.fullmatch(text):
        return frozenset(re.findall(r"(?<![A-Z])[A-J](?![A-Z])", text.upper()))
    return frozenset()


def options(prompt: str) -> dict[str, str]:
    """The options of a multiple choice, by letter, as a prompt lists them; none where it lists none.

    >>> options("Which gas? A. oxygen B. carbon dioxide")
    {'A': 'oxygen', 'B': 'carbon dioxide'}
    """
    found = list(_OPTION.finditer(prompt))
    start = max((i for i, one in enumerate(found) if one[1] == "A"), default=-1)
    run = found[start:] if start >= 0 else []
    wanted = [one for one, letter in zip(run, LETTERS, strict=False) if one[1] == letter]
    if len(wanted) < 2 or len(wanted) != len(run):
        return {}
    ends = [one.start() for one in wanted[1:]] + [len(prompt)]
    return {one[1]: prompt[one.end() : end].strip(" \n\t;,.()") for one, end in zip(wanted, ends, strict=True)}


def reference(text: str) -> tuple[frozenset[str], str] | None:
    """The letters of a reference like `B`, `(B)`, `A, C` or `B. carbon dioxide`, and the text behind; else None."""
    if text[:1].isdigit():
        return None
    bare = _bare(text)
    if not bare[:1].isupper() and not bare.startswith("("):
        return None
    both = _WITH_TEXT.fullmatch(bare)
    if both and (both[1] or both[2]) and not letters(bare):
        return frozenset(both[1] or both[2]), both[6]
    found = letters(bare)
    together = bool(_TOGETHER.fullmatch(bare)) and list(bare) != sorted(set(bare))
    return (found, "") if found and not together else None
