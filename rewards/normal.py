r"""Normal forms of answers, in which different spellings of the same thing are the same string.

`tidy` only cleans characters and is safe to hand to a LaTeX parser; `spaced` and `formula` are for comparing
mathematics and `plain` for comparing words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

TEXT_MARK = "~"
r"""Stands in a normal form where text began: `5\text{ cm}` becomes `5~cm`, which is not the product of 5, c and m."""

REMEMBERED = 4096
"""Forms that are kept: those of a step's references and answers."""

_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼ⁿ", "0123456789+-=n", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₙₓ", "0123456789+-nx", strict=True))
_RAISED_RUN = re.compile(f"[{''.join(_RAISED)}]+")
_LOWERED_RUN = re.compile(f"[{''.join(_LOWERED)}]+")
_SYMBOLS = str.maketrans(
    {"−": "-", "–": "-", "‐": "-", "‑": "-", "×": "\\times ", "·": "\\cdot ", "⋅": "\\cdot ", "∙": "\\cdot ",
     "•": "\\cdot ", "÷": "/", "°": "^\\circ ", "∞": "\\infty ", "’": "'", "‘": "'", "“": '"',
     "”": '"', "≤": "\\le ", "≥": "\\ge ", "⩽": "\\le ", "⩾": "\\ge ", "≠": "\\ne ", "∪": "\\cup ", "∩": "\\cap ",
     "∈": "\\in ", "±": "\\pm ", "∓": "\\mp ", "→": "\\to ", "⟶": "\\to ", "⇒": "\\to ",
     "⇌": "\\rightleftharpoons ", "⇄": "\\rightleftharpoons ", "∅": "\\emptyset ", "≈": "\\approx ",
     "ℝ": "\\mathbb{R} ", "∨": "\\lor ", "∧": "\\land ", "∖": "\\setminus ", "⟨": "\\langle ", "⟩": "\\rangle ",
     
     "。": "."}
)  # fmt: skip
_GREEK = str.maketrans(
    {
        "π": "\\pi ",
        "θ": "\\theta ",
        "α": "\\alpha ",
        "β": "\\beta ",
        "γ": "\\gamma ",
        "λ": "\\lambda ",
        "φ": "\\phi ",
        "ω": "\\omega ",
    }
)
_WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"))
_SPACING = re.compile(
    r"(?<!\\)\\(?:[,;:!> ]|(?:q?quad|left|right|[bB]igg?[lr]?|displaystyle|limits)(?![a-zA-Z]))|(?<!\\)~"
)
_TEXT = re.compile(
    r"\\(?:text|mathrm|mbox|textrm|textbf|mathbf|boldsymbol|textit|mathit|operatorname|rm|ce|textsf|mathsf|underline|emph)\s*"
    r"\{((?:[^{}]|\{[^{}]*\})*)\}"
)
_TILDE = re.compile(r"(?<=\d)\s*~\s*(?=\d)(?!\d{3}(?!\d))")
_SPELLINGS = (
    (("<", "\\leftr"), re.compile(r"<=+>|<-+>|\\leftrightarrow(?![a-zA-Z])"), r"\\rightleftharpoons "),
    (("\\dfrac", "\\tfrac", "\\cfrac"), re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (("\\degree", "\\circ"), re.compile(r"\\degree(?![a-zA-Z])|\^\s*\{\s*\\circ\s*\}"), r"^\\circ"),
    (
        ("\\hat", "\\vec", "\\overr"),
        re.compile(
            rf"{TEXT_MARK}?\\(?:hat|vec|overrightarrow)\s*(?:\{{\s*{TEXT_MARK}?\\?([ijk])(?:math)?\s*\}}|([ijk])(?![a-z]))"
        ),
        rf"{TEXT_MARK}\1\2",
    ),
    (("{,}",), re.compile(r"\{,\}"), ","),
    (("{-}",), re.compile(r"\{-\}"), "-"),
    (("\\%",), re.compile(r"\\%"), "%"),
    (("**",), re.compile(r"\*\*"), "^"),
    (("\\le", "<="), re.compile(r"\\(?:leqslant|leq|le)(?![a-zA-Z])|<="), r"\\le"),
    (("\\ge", ">="), re.compile(r"\\(?:geqslant|geq|ge)(?![a-zA-Z])|>="), r"\\ge"),
    (("\\ne", "!="), re.compile(r"\\(?:neq|ne)(?![a-zA-Z])|!="), r"\\ne"),
    (("\\lt",), re.compile(r"\\lt(?![a-zA-Z])"), "<"),
    (("\\gt",), re.compile(r"\\gt(?![a-zA-Z])"), ">"),
    (("\\varn", "\\O"), re.compile(r"\\(?:varnothing|O)(?![a-zA-Z])"), r"\\emptyset"),
    (
        ("rightarrow", "->", "=>"),
        re.compile(r"\\(?:long)?rightarrow(?![a-zA-Z])|\\longrightarrow(?![a-zA-Z])|-+>|=>"),
        r"\\to ",
    ),
    (("\\div",), re.compile(r"\\div(?![a-zA-Z])"), "/"),
    (("sqrt",), re.compile(r"(?<![\\a-zA-Z])sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (
        ("sin", "cos", "tan", "cot", "sec", "csc", "ln", "log", "exp"),
        re.compile(r"(?<![\\a-zA-Z])((?:arc)?(?:sin|cos|tan)|cot|sec|csc|ln|log|exp)(?=\s*[(^\\\d]| ?[a-z](?![a-z]))"),
        r"\\\1 ",
    ),
    (("√",), re.compile(r"√\s*(\d+|[a-zA-Z])"), r"\\sqrt{\1}"),
    (("√",), re.compile(r"√\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (("∛",), re.compile(r"∛\s*(\d+)"), r"\\sqrt[3]{\1}"),
    (("pi",), re.compile(r"(?<![\\a-zA-Z])pi(?![a-zA-Z])"), r"\\pi "),
    (("\\max", "\\min", "\\gcd", "\\lcm"), re.compile(r"\\(max|min|gcd|lcm)\s*\\\{([^{}]*)\\\}"), r"\\\1(\2)"),
    (
        ("C_",),
        re.compile(r"(?<![a-zA-Z\\\d}])~?C_\{?(\d{1,3}|n)\}?\s*\^\{?(\d{1,3}|k|m|r)\}?(?![+\-\w])"),
        r"\\binom{\1}{\2}",
    ),
)
"""Parts of which a pattern needs one, looked for first as they are found much sooner; the pattern; its spelling."""
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_SIMPLE = re.compile(r"[\w\s.,/+]*", re.ASCII)
_SPELLED_OUT = re.compile(r"(?<![a-zA-Z])(?:pi|sin|cos|tan|ln|log|exp)(?![a-zA-Z])")
"""Names in a simple text that are no words."""
_IDLE_SPACE = re.compile(r"(\\[a-zA-Z]+ (?=[a-zA-Z]))|(?<![\d,]) | (?!\d)")
_ONE_LETTER_FIRST = re.compile(
    r"^(?:(?:[a-zA-Z](?:_\{?\w\}?)?|[a-zA-Z](?:'|\^-1)?\([a-zA-Z]\)|p ?H)=(?=[^=]+$)"
    r"|(?:\\angle ?(?:[A-Z]{1,3}|\d)|\|?[A-Z]{2}\|?|\\overline\{?[A-Z]{2}\}?|P\([A-Z]\)|[a-zA-Z]_\{[^{}=]*\})"
    r"=(?=[-\d\\.][^=]*$))"
)


def tidy(text: str) -> str:
    """The text without invisible characters, full-width forms, and the dollars or brackets around it."""
    if not text.isascii():
        text = _RAISED_RUN.sub(lambda run: f"^{{{''.join(map(_RAISED.__getitem__, run[0]))}}}", text)
        text = _LOWERED_RUN.sub(lambda run: f"_{{{''.join(map(_LOWERED.__getitem__, run[0]))}}}", text)
        text = "".join(map(_character, text)).translate(_SYMBOLS)
    text = " ".join(text.split()).removesuffix(".")
    if text[:1] not in ("$", "\\", "*"):
        return text
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


@lru_cache(maxsize=REMEMBERED)
def spaced(tidied: str) -> str:
    r"""The answer in one spelling of everything, texts marked, single spaces where there were any.

    It is remembered, as every kind that a reference may be looks at it, and at each answer's.

    >>> spaced(r"\dfrac{1}{2} \text{ m/s}")
    '\\frac{1}{2} ~ m/s'
    """
    text = tidied
    if not _SIMPLE.fullmatch(text) or _SPELLED_OUT.search(text):
        text = _respelled(_marked(text))
        if not text.isascii():
            text = _VULGAR.sub(_fraction, text).translate(_GREEK)
    text = " ".join(text.split())
    while len(text) > 2 and text[0] == "{" and text[-1] == "}" and _closes_at_end(text):
        text = text[1:-1].strip()
    return text


def _marked(text: str) -> str:
    """The text without commands that only space it out, with a mark where texts within it begin."""
    if "~" in text:
        text = _TILDE.sub(r" \\sim ", text)
    if "\\" in text or "~" in text:
        text = _SPACING.sub(" ", text)
    for _ in range(2):  # texts within texts
        if "{" in text:
            text = _TEXT.sub(rf" {TEXT_MARK}\1", text)
    return text


def _respelled(text: str) -> str:
    for needed, pattern, spelling in _SPELLINGS:
        for part in needed:  # `any` would take longer than all the rest
            if part in text:
                text = pattern.sub(spelling, text)
                break
    return text


def _fraction(found: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", found[0]).partition("⁄")
    return f"\\frac{{{top}}}{{{bottom}}}"


def _closes_at_end(text: str) -> bool:
    """Whether the brace that opens the text is closed by the one that ends it."""
    depth = 0
    for position, character in enumerate(text):
        escaped = position > 0 and text[position - 1] == "\\"
        depth += 0 if escaped else (character == "{") - (character == "}")
        if depth == 0:
            return position == len(text) - 1 and not escaped
    return False


def formula(tidied: str) -> str:
    r"""The normal form of a mathematical answer: one spelling, no idle spaces, texts marked.

    A space between two digits, or between a comma and a digit, stays: `1, 234` is a pair.

    >>> formula(r"\dfrac{1}{2} \text{ m/s}")
    '\\frac{1}{2}~m/s'
    """
    return compact(spaced(tidied))


def compact(text: str) -> str:
    """A spaced form without its idle spaces."""
    if " " in text:
        text = _IDLE_SPACE.sub(r"\1", text)
    return text.replace("^{-1}", "^-1").replace("\\$", "").replace("$", "")


def unassigned(normal: str) -> str:
    """A formula without the `x=` before it.

    >>> unassigned("x=5")
    '5'
    """
    return _ONE_LETTER_FIRST.sub("", normal.replace(TEXT_MARK + "pH=", "pH="))


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
