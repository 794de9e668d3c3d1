r"""Normal forms of answers, in which different spellings of the same thing are the same string.

`tidy` only cleans characters and is safe to hand to a LaTeX parser; `formula` is for comparing mathematics and
`plain` for comparing words.
"""

from __future__ import annotations

import re
import unicodedata

TEXT_MARK = "~"
r"""Stands in a normal form where text began: `5\text{ cm}` becomes `5~cm`, which is not the product of 5, c and m."""

_SUPERSCRIPTS = str.maketrans({"²": "^2", "³": "^3", "⁻": "^-", "¹": "1"})
_SYMBOLS = str.maketrans(
    {"−": "-", "–": "-", "×": "\\times ", "·": "\\cdot ", "⋅": "\\cdot ", "÷": "/", "°": "^\\circ ", "π": "\\pi ",
     "∞": "\\infty ", "’": "'", "≤": "\\le ", "≥": "\\ge "}
)  # fmt: skip
_WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))
_SPACING = re.compile(r"\\(?:[,;:!> ]|q?quad(?![a-zA-Z])|left(?![a-zA-Z])|right(?![a-zA-Z])|displaystyle|limits)|~")
_TEXT = re.compile(r"\\(?:text|mathrm|mbox|textrm|textbf|mathbf|textit|operatorname|rm)\s*\{([^{}]*)\}")
_SPELLINGS = (
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\degree(?![a-zA-Z])|\^\s*\{\s*\\circ\s*\}"), r"^\\circ"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\([%$])"), r"\1"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\\(?:leq|le)(?![a-zA-Z])"), r"\\le"),
    (re.compile(r"\\(?:geq|ge)(?![a-zA-Z])"), r"\\ge"),
)
_SIMPLE = re.compile(r"[\w\s.,/+=-]*")
_IDLE_SPACE = re.compile(r"(?<![\d,]) | (?!\d)")
_ONE_LETTER_FIRST = re.compile(r"^[a-zA-Z]=(?=[^=]+$)")


def tidy(text: str) -> str:
    """The text without invisible characters, full-width forms, and the dollars or brackets around it."""
    if not text.isascii():
        text = "".join(map(_character, text.translate(_SUPERSCRIPTS))).translate(_SYMBOLS)
    text = " ".join(text.split()).removesuffix(".")
    for start, end in _WRAPPERS:
        if len(text) > len(start + end) and text.startswith(start) and text.endswith(end):
            text = text[len(start) : -len(end)].strip()
    return text


def _character(character: str) -> str:
    """Compatibility form of a character; numerals like ½ stay, as what stands before them would merge with it."""
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    return character if category == "No" else unicodedata.normalize("NFKC", character)


def formula(tidied: str) -> str:
    r"""The normal form of a mathematical answer: one spelling, no idle spaces, texts marked.

    A space between two digits, or between a comma and a digit, stays: `1, 234` is a pair.

    >>> formula(r"\dfrac{1}{2} \text{ m/s}")
    '\\frac{1}{2}~m/s'
    """
    text = tidied
    if not _SIMPLE.fullmatch(text):
        text = _TEXT.sub(rf" {TEXT_MARK}\1", _SPACING.sub(" ", text))
        for pattern, spelling in _SPELLINGS:
            text = pattern.sub(spelling, text)
    text = _IDLE_SPACE.sub("", " ".join(text.split()))
    return text.replace("^{-1}", "^-1").replace("$", "")


def unassigned(normal: str) -> str:
    """A formula without the `x=` before it.

    >>> unassigned("x=5")
    '5'
    """
    return _ONE_LETTER_FIRST.sub("", normal)


_APOSTROPHE = re.compile(r"['`\"]")
_HYPHEN = re.compile(r"-(?!\d)|(?<=\w)-")
_PUNCTUATION = re.compile(r"(?<!\d)[.,:/]|[.,:/](?!\d)|[^\w\s.,:/+%<>=$€£^*-]|_")


def plain(text: str) -> str:
    """The normal form of words: case, spaces and punctuation set aside, except within numbers.

    >>> plain("  The Red-and-Blue (3.5) one!")
    'the red and blue 3.5 one'
    """
    text = _APOSTROPHE.sub("", tidy(text).casefold())
    return " ".join(_PUNCTUATION.sub(" ", _HYPHEN.sub(" ", text)).split())
