"""Answers in words: case, articles and a sentence around the word set aside, but never a `not`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from rewards.answers.kind import Decide
from rewards.normal import TEXT_MARK, compact, plain, spaced

_SENTENCE = re.compile(
    r"(?:so |thus |therefore |hence )?(?:the|it|this|that|they|these|he|she)\b(?: [\w']+){0,6}?"
    r" (?:is|are|was|were|be|becomes?|has|have) (.+)|it s (.+)|its (.+)"
)
_LEAD = re.compile(
    r"^(?:(?:the|a|an|to|at|in|on|of|from|by|because of|due to|called|known as|referred to as|example of"
    r"|there (?:is|are)|答案是?|答)(?: |(?<=[案是答])) ?)+"
)
_LABEL = re.compile(r"^(?:the )?(?:final |correct )?answer(?: is|:|=)? ?|^答案(?:是|为|:)? ?", re.IGNORECASE)
_MARKUP = str.maketrans({TEXT_MARK: " ", "\\": " ", "^": None, "{": None, "}": None})
_CHINESE_SENTENCE = re.compile(r"[^是为不非]{1,20}[是为](?!.*[是为不非])(.+)")
_IRREGULAR = {
    "mitochondria": "mitochondrion", "bacteria": "bacterium", "nuclei": "nucleus", "fungi": "fungus",
    "stimuli": "stimulus", "hypotheses": "hypothesis", "electrolyses": "electrolysis", "spectra": "spectrum",
    "quanta": "quantum", "phenomena": "phenomenon", "criteria": "criterion", "vertices": "vertex",
    "indices": "index", "axes": "axis", "foci": "focus", "radii": "radius", "alveoli": "alveolus", "men": "man",
    "women": "woman", "children": "child", "people": "person", "feet": "foot", "teeth": "tooth", "mice": "mouse",
}  # fmt: skip
_GENERIC = frozenset((
    "triangle", "angle", "number", "reaction", "bond", "bonding", "process", "function", "compound", "force", "rock",
    "lens", "mirror", "gas", "metal", "motion", "energy", "wave", "ion", "state", "phase", "effect", "cycle",
    "radiation",
))  # fmt: skip
"""Nouns that add nothing to an adjective: `endothermic` is `an endothermic reaction`."""
_VERBS = frozenset(("increase", "decrease", "double", "triple", "halve", "converge", "diverge", "rise", "fall"))
LONGEST_SUBJECT = 6
"""Words before the verb that is the answer."""
_NEGATIONS = frozenset(("not", "never", "neither", "nor", "no", "hardly", "doesnt", "first", "then"))
_SYNONYMS = (
    frozenset((
        "no solution", "no real solution", "no solution exists", "there is no solution", "there are no solution",
        "none", "emptyset", "empty set", "the empty set", "has no solution", "无解", "空集", "no real root",
        "no such value", "不存在解", "nothing",
    )),
    frozenset(("变大", "增大", "增加", "变多", "升高", "上升", "变高")),
    frozenset(("变小", "减小", "减少", "变少", "降低", "下降", "变低")),
    frozenset(("不变", "保持不变", "没有变化", "unchanged", "no change", "remain unchanged", "stay the same",
               "remain the same", "remain constant", "stay constant", "does not change")),
    frozenset(("undefined", "does not exist", "dne", "not defined", "不存在", "is undefined", "no limit")),
    frozenset((
        "infinitely many", "infinitely many solution", "infinite", "infinity", "infty",
        "无穷多", "无数个", "无穷多解", "无数解",
    )),
)  # fmt: skip


_NO_ROOT = re.compile(r"(?:原|该|此|这个)?(?:一元二次)?(?:方程|不等式)?组?(?:无|没有)(?:实数|有理|整数)?(?:解|根)")


@lru_cache(maxsize=4096)
def words(text: str) -> str:
    r"""The words of a text without markup, articles and plurals.

    >>> words(r"\text{an Acute angle}"), words("The number is even.")
    ('acute angle', 'even')
    """
    bare = _LABEL.sub("", plain(spaced(text).translate(_MARKUP)))
    sentence = _SENTENCE.fullmatch(bare)
    if sentence:
        bare = next(filter(None, sentence.groups()))
    bare = _LEAD.sub("", bare)
    if not bare.isascii() and (said := _CHINESE_SENTENCE.fullmatch(bare)):
        bare = said[1]
    return " ".join(_singular(word) for word in bare.split())


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    return (
        word[:-1]
        if len(word) > 3 and word.endswith("s") and word != "does" and not word.endswith(("ss", "us", "is"))
        else word
    )


@dataclass(frozen=True, slots=True)
class Words:
    """A reference in words."""

    text: str

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer says the same."""
        wanted, found = words(self.text), words(answer)
        if found == wanted or _squeezed(found) == _squeezed(wanted):
            return bool(wanted) or answer == self.text
        if any(wanted in group and found in group for group in _SYNONYMS):
            return True
        if wanted in ("neither", "both") and found.startswith(f"{wanted} "):
            return True
        longer, shorter = sorted((found, wanted), key=len, reverse=True)
        return longer.removeprefix(f"{shorter} ") in _GENERIC or _says(words(answer.rpartition(",")[2]), wanted)


def _says(found: str, wanted: str) -> bool:
    """Whether `it doubles` or `the pressure of the gas increases` says that something doubles, or increases."""
    subject = found.removesuffix(f" {wanted}").split()
    others = (_NEGATIONS | _VERBS).intersection(subject)
    return found.endswith(f" {wanted}") and len(subject) <= LONGEST_SUBJECT and wanted in _VERBS and not others


def _squeezed(text: str) -> str:
    return text.replace(" ", "")


def infinite(text: str) -> int:
    """The sign of the infinity that a text is, 0 for what is finite."""
    bare = spaced(text).replace(TEXT_MARK, "").replace(" ", "").lower()
    negative = bare.startswith(("-", "negative", "minus", "负"))
    bare = re.sub(r"^(?:[+-]|positive|negative|plus|minus|正|负)", "", bare)
    return (-1 if negative else 1) if bare in ("\\infty", "infty", "infinity", "infinite", "无穷大", "无穷", "∞") else 0


@dataclass(frozen=True, slots=True)
class Infinite:
    """A reference that is an infinity, of this sign."""

    sign: int

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer is the same infinity."""
        return infinite(answer) == self.sign


def is_nothing(text: str) -> bool:
    """Whether a text says that there is no solution, or is the empty set."""
    bare = compact(spaced(text)).replace(TEXT_MARK, "")
    return (
        (words(text) in _SYNONYMS[0] and not bare.startswith("\\{"))
        or bare in ("\\emptyset", "\\{\\}")
        or _NO_ROOT.fullmatch(bare) is not None
    )


class Nothing:
    """A reference that says that there is none."""

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer says so, too."""
        return is_nothing(answer)
