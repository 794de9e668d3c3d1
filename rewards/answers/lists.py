r"""Lists, sets and tuples: what several things in one answer are, and whether they are those of the reference."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from rewards.answers.kind import Decide, Kind, all_of, any_of, matched
from rewards.answers.numerals import number
from rewards.answers.piecewise import system
from rewards.answers.vectors import components
from rewards.normal import TEXT_MARK, compact, spaced

MOST = 30
"""Parts above which an answer is not taken apart."""

_OPENING, _CLOSING = ("(", "[", "{", "\\{", "\\langle"), (")", "]", "}", "\\}", "\\rangle")
_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[()\[\]{},;、]|(?<![a-zA-Z])(?:and|or|&)(?![a-zA-Z])|或者?|和|及|与", re.DOTALL)
_SEPARATORS = frozenset((",", ";", "、", "and", "&", "和", "及", "与"))
_ALTERNATIVES = frozenset(("or", "或", "或者", "\\lor", "\\vee"))
_STRONG = (re.compile(r";"), re.compile(r"(?<![a-zA-Z])or(?![a-zA-Z])|或者?|\\(?:lor|vee)(?![a-zA-Z])"))
"""What separates pairs such as `x=1, y=2` from one another."""
_NAMED = re.compile(r"\s*([a-zA-Z]|\\[a-z]+)(?:_\{?(\w+)\}?)?\s*=\s*([^=<>]+)")
_PREFIX = re.compile(
    r"^(?:[A-Z](?:_\{?\w\}?|')?\s*(?=\([^()]*,[^()]*(?:\([^()]*\)[^()]*)*\)$)"
    rf"|(?:\\(?:vec|over(?:line|rightarrow))\s*\{{?\s*\w{{1,2}}\s*\}}?|{TEXT_MARK}[a-zA-Z])\s*=\s*(?=[\\(\[{{⟨])"
    r"|(?:\(?[a-zA-Z](?:_\{?\w\}?)?(?:\s*,\s*[a-zA-Z])*\)?)\s*(?:=\s*(?=[\\(\[{⟨])|\\in(?=\s*\\\{)\s*))"
)
_MATRIX = re.compile(
    r"\s*((?:-?\s*(?:\\frac\s*\{?\w+\}?\s*\{?\w+\}?|\w+(?:/\w+)?|\\lambda)|-)?)\s*(?:\\cdot\s*)?(?:[([|]\s*)?"
    r"\\begin\{([bpB]?matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{\2\}\s*(?:[)\]|]\s*)?"
    r"(\^\s*\{?\s*(?:T|\\top|~T|\\mathsf\s*\{?T\}?|\\intercal)\s*\}?)?",
    re.DOTALL,
)
_BUILT = re.compile(r"\\\{\s*([a-z])\s*(?:\\mid|\\vert|\||:)\s*(\1\s*=[^<>]*)\\\}")
POINT = re.compile(r"\s*([A-Z])\s*(\([^()]*,[^()]*(?:\([^()]*\)[^()]*)*\))\s*")
"""A point with its name, A(1, 2)."""
_NUMBERED = re.compile(r"(?:^|\s)\(?(\d)[.)]\s+")
_LABELS = re.compile(r"^(?:both|either)\s+", re.IGNORECASE)


class Parts(NamedTuple):
    """An answer taken apart. `form` is how it was written: "" for bare, or its brackets."""

    texts: list[str]
    form: str = ""
    alternatives: bool = False


def split(text: str) -> Parts:
    """The parts of a spaced form at its own commas, words and brackets; one part if it has none."""
    text = _PREFIX.sub("", text.strip())
    if text.startswith("\\{") and (found := _BUILT.fullmatch(text)):
        text = found[2]
    if coordinates := components(text):
        return Parts(coordinates, "\\langle")
    if lines := system(text):
        return Parts(lines)
    if "\\begin" in text and (cells := matrix(text)) and 1 in (len(cells), max(map(len, cells))):
        return Parts([cell for row in cells for cell in row], "(")
    form = _brackets(text)
    if form:
        opened, closed = form
        inside = text[len(opened) : len(text) - len(closed)]
        inner = _top_level(inside)
        if len(inner.texts) > 1 or opened == "\\{":
            return inner._replace(form=opened)
        return Parts([text])
    return _top_level(text)


def _brackets(text: str) -> tuple[str, str] | None:
    """The brackets around all of a text."""
    for opened, closed in zip(_OPENING, _CLOSING, strict=True):
        if text.startswith(opened) and text.endswith(closed) and len(text) >= len(opened) + len(closed):
            depth = 0
            for token in _TOKEN.finditer(text):
                depth += (token[0] in _OPENING) - (token[0] in _CLOSING)
                if depth == 0:
                    return (opened, closed) if token.end() == len(text) else None
    return None


def _top_level(text: str) -> Parts:
    for strong in _STRONG if text.count("=") > 3 else ():
        several = strong.split(text)
        if len(several) > 1 and all(part.count("=") > 1 for part in several):
            return Parts([part.strip(f" {TEXT_MARK}.,") for part in several], alternatives=strong is not _STRONG[0])
    spaced_commas = re.search(r"[,;]\s", text) is not None
    parts, start, depth, alternatives = [], 0, 0, False
    for token in _TOKEN.finditer(text):
        depth += (token[0] in _OPENING) - (token[0] in _CLOSING)
        if depth or not (token[0] in _SEPARATORS or token[0] in _ALTERNATIVES):
            continue
        if token[0] == "," and spaced_commas and re.match(r",\d{3}(?!\d)", text[token.start() :]):
            continue
        alternatives = alternatives or token[0] in _ALTERNATIVES
        parts.append(text[start : token.start()])
        start = token.end()
    parts.append(text[start:])
    cleaned = [part.strip(f" {TEXT_MARK}.") for part in parts]
    return Parts([part for part in cleaned if part], alternatives=alternatives)


def expanded(parts: list[str]) -> list[str]:
    r"""The parts with each `2\pm x` written out as two.

    >>> expanded([r"\pm 3"])
    ['3', '- 3']
    """
    out: list[str] = []
    for part in parts:
        if "\\pm" not in part and "\\mp" not in part:
            out.append(part)
            continue
        for plus, minus in (("+", "-"), ("-", "+")):
            one = re.sub(r"\\mp(?![a-zA-Z])", minus, re.sub(r"\\pm(?![a-zA-Z])", plus, part))
            out.append(re.sub(r"(^|=)\s*\+\s*", r"\1", one).strip())
    return out


def values(parts: list[str]) -> tuple[list[str], list[str]]:
    """The names and the values of parts like `x=1`; no names where they are several values of one thing."""
    points = [POINT.fullmatch(part) for part in parts]
    if len(points) > 1 and all(points):
        return [one[1] for one in points if one], [one[2] for one in points if one]
    named = [_NAMED.fullmatch(part) for part in parts]
    if all(named):
        found = [one for one in named if one]
        names = [one[1] for one in found]
        return (names if len(set(names)) == len(names) > 1 else []), [one[3].strip() for one in found]
    if named[:1] and named[0] and not any(named[1:]):
        return [], [named[0][3].strip(), *parts[1:]]
    return [], parts


@dataclass(frozen=True, slots=True)
class Listed:
    """Several things: in their order or in any, each as often as given or (in a set) at all."""

    items: tuple[Kind, ...]
    names: tuple[str, ...] = ()
    ordered: bool = False
    distinct: bool = False
    alternatives: bool = True
    """Whether `or` may stand between them."""
    round: bool = False
    """Whether the brackets are round and could be those of an open interval: [2, 5] is no (2, 5)."""

    def same(self, answer: str, decide: Decide) -> bool | None:
        """Whether the answer has these parts."""
        text = _LABELS.sub("", spaced(answer).lstrip(TEXT_MARK + " "))
        found = split(_numbered(text.replace("\\to ", ", ")))
        if found.alternatives and not self.alternatives:
            return False
        names, parts = values(expanded(found.texts))
        if names and (self.names or names[0].islower() or names[0][0] == "\\"):
            return self._by_name(dict(zip(names, parts, strict=True)), decide)
        if self.names and found.form not in ("(", "\\langle", ""):
            return False
        if not self._fits(found, len(parts)):
            return False
        if self.ordered or self.names:
            return all_of([item.same(part, decide) for item, part in zip(self.items, parts, strict=True)])
        return self._matched([[item.same(part, decide) for part in parts] for item in self.items])

    def _fits(self, found: Parts, count: int) -> bool:
        if count > MOST or (count != len(self.items) and not (self.distinct and count > len(self.items))):
            return False
        if self.round and found.form == "[":
            return False
        return not (self.ordered and found.form == "\\{")

    def _by_name(self, named: dict[str, str], decide: Decide) -> bool | None:
        names = self.names or (tuple(sorted(named)) if self.ordered else ())
        if set(names) != set(named) or len(self.items) != len(named):
            return False
        return all_of([item.same(named[name], decide) for name, item in zip(names, self.items, strict=True)])

    def _matched(self, verdicts: list[list[bool | None]]) -> bool | None:
        """Whether every item has a part of its own, and every part an item; in a set it may come again."""
        if not self.distinct:
            return matched(verdicts)
        return all_of([any_of(list(line)) for line in (*verdicts, *zip(*verdicts, strict=True))])


def _numbered(text: str) -> str:
    """`1. prophase 2. metaphase` with commas for the numbers."""
    numbers = _NUMBERED.findall(text)
    if len(numbers) > 1 and numbers == [str(i) for i in range(1, len(numbers) + 1)]:
        return _NUMBERED.sub(", ", text).lstrip(", ")
    return text


def ordered_words(text: str) -> list[str] | None:
    r"""The parts of `1. a 2. b`, None for what is no numbered list."""
    listed = _numbered(text)
    return split(listed).texts if listed != text else None


def matrix(text: str) -> list[list[str]] | None:
    r"""The cells of a matrix, by rows; None for what is none. Works on a spaced form.

    >>> matrix(r"\frac{1}{2} \begin{pmatrix} 1 & 4 \end{pmatrix} ^T")
    [['1/2'], ['2']]
    """
    found = _MATRIX.fullmatch(text)
    if found:
        rows = [row for row in re.split(r"\\\\", found[3]) if row.strip()]
        cells = [[_scaled(found[1].strip(), cell.strip()) for cell in row.split("&")] for row in rows]
        regular = len({len(row) for row in cells}) == 1
        return [list(row) for row in zip(*cells, strict=True)] if found[4] and regular else cells
    if re.fullmatch(r"\[\s*\[.*\]\s*\]", text):
        rows = [split(row) for row in split(text).texts]
        return [row.texts for row in rows] if len(rows) > 1 and all(row.form == "[" for row in rows) else None
    return None


def _scaled(factor: str, cell: str) -> str:
    """A cell of a matrix with a factor before it."""
    if not factor:
        return cell
    one, other = number(compact(factor)), number(compact(cell))
    return f"({factor})({cell})" if one is None or other is None else str(one * other)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix, or a column vector, which may as well be written as a tuple."""

    rows: tuple[tuple[Kind, ...], ...]

    def same(self, answer: str, decide: Decide) -> bool | None:
        """Whether the answer has these cells."""
        text = _PREFIX.sub("", spaced(answer))
        cells = matrix(text)
        if cells is None and 1 in (len(self.rows), max(map(len, self.rows))):
            found = split(text)
            parts = found.texts if found.form in ("(", "\\langle") else []
            cells = [parts] if len(self.rows) == 1 else [[part] for part in parts]
        if not cells:
            return None if "matrix" in text and "\\begin" in compact(text)[1:] else False
        if [len(row) for row in cells] != [len(row) for row in self.rows]:
            return False
        pairs = zip(self.rows, cells, strict=True)
        return all_of([one.same(cell, decide) for row, found in pairs for one, cell in zip(row, found, strict=True)])


@dataclass(frozen=True, slots=True)
class Either:
    """A reference that can be read in more than one way."""

    kinds: tuple[Kind, ...]

    def same(self, answer: str, decide: Decide) -> bool | None:
        """Whether the answer is right in one of the readings."""
        return any_of([kind.same(answer, decide) for kind in self.kinds])
