r"""Intervals, unions, and inequalities that are solved: all the ways to say where a number lies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite
from typing import NamedTuple

from rewards.answers.kind import Decide
from rewards.answers.numerals import number
from rewards.identity import value
from rewards.normal import TEXT_MARK, compact, spaced

_INTERVAL = re.compile(
    r"([(\[\]])([^()\[\]]*(?:\([^()]*\)[^()\[\]]*)*)[,;]([^()\[\]]*(?:\([^()]*\)[^()\[\]]*)*)([)\]\[])"
)
_RELATION = re.compile(r"(\\[lgn]e(?![a-zA-Z])|<|>)")
_OR = re.compile(rf"\\cup(?![a-zA-Z])|∪|\\lor(?![a-zA-Z])|(?<![a-zA-Z\\])[{TEXT_MARK}]?or(?![a-zA-Z])|或")
_AND = re.compile(
    rf"\\cap(?![a-zA-Z])|\\land(?![a-zA-Z])|(?<![a-zA-Z\\])[{TEXT_MARK}]?and(?![a-zA-Z])|且|,(?![^(\[]*[)\]])"
)
_VARIABLE = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z](?![a-zA-Z])")
_LETTER = re.compile(r"[a-zA-Z](?:_\{?\w\}?)?|\\[a-z]+")
_SIZE = re.compile(r"(?:\||\\[lr]vert)([^|]*[a-zA-Z][^|]*?)(?:\||\\[lr]vert)")
_MEMBER = re.compile(r"^(?:[a-zA-Z]|\\[a-z]+)\\in(?![a-zA-Z])")
_BUILDER = re.compile(r"\\\{[a-zA-Z](?:\\in\\mathbb\{R\})?(?:\\mid|\\vert|\||:)(.+)\\\}")
_REALS = ("\\mathbb{R}", "R", "allrealnumbers", "allreals", "全体实数")
_SIGNED = re.compile(r"(?:all|any)?(?:real)?(positive|negative|nonnegative|nonpositive)(?:real)?(?:number|real)s?")
_ALL_BUT = re.compile(r"all(?:real)?(?:number|real)s?(?:except|but|otherthan)(?:for)?(?:[a-zA-Z]=)?(.+)")
_FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
SLACK = 1e-9
"""Relative difference up to which ends are the same."""


class Piece(NamedTuple):
    """An interval; an end counts as in it where it is `closed`."""

    low: float
    high: float
    low_closed: bool
    high_closed: bool


ALL = (Piece(-inf, inf, False, False),)


def region(text: str) -> tuple[Piece, ...] | None:
    r"""The pieces of the real line that a spaced form describes, in order and merged; None for something else.

    >>> region("1 < x < 3")
    (Piece(low=1.0, high=3.0, low_closed=False, high_closed=False),)
    """
    normal = _MEMBER.sub("", compact(text))
    if found := _BUILDER.fullmatch(normal):
        text = found[1]
    pieces: list[Piece] = []
    for part in _OR.split(text):
        found_pieces = _conjunction(part)
        if found_pieces is None:
            return None
        pieces.extend(found_pieces)
    return _merged(pieces)


def _conjunction(text: str) -> tuple[Piece, ...] | None:
    single = _single(text)
    if single is not None:
        return single
    found: tuple[Piece, ...] | None = None
    for joint, part in zip(["", *_AND.findall(text)], _AND.split(text), strict=True):
        one = _single(part)
        if one is None or (joint == "," and not _RELATION.search(part)):
            return None  # two intervals side by side are not what lies in both
        found = one if found is None else _both(found, one)
    return found


def _single(text: str) -> tuple[Piece, ...] | None:
    text = _MEMBER.sub("", compact(text.strip(f" {TEXT_MARK}")))
    if text.replace(TEXT_MARK, "") in _REALS:
        return ALL
    if found := _SIGNED.fullmatch(text.replace(TEXT_MARK, "").replace("non-", "non")):
        closed, above = found[1].startswith("non"), found[1] in ("positive", "nonnegative")
        return (Piece(0.0, inf, closed, False) if above else Piece(-inf, 0.0, False, closed),)
    if found := _ALL_BUT.fullmatch(text.replace(TEXT_MARK, "")):
        return _except(found[1])
    reals, minus, points = text.partition("\\setminus")
    if not minus:
        reals, minus, points = text.partition("-\\{")
        points = "\\{" + points if minus else ""
    if minus:
        whole, excluded = ALL if reals in _REALS else _interval(reals), _points(points)
        return None if whole is None or excluded is None else _both(whole, _without(excluded))
    points_alone = _points(text)
    if points_alone is not None:
        return tuple(Piece(point, point, True, True) for point in points_alone)
    return _interval(text) or _inequality(text)


def _points(text: str) -> list[float] | None:
    if not (text.startswith("\\{") and text.endswith("\\}")):
        return None
    ends = [_end(part) for part in re.split("[,;]", text[2:-2])]
    known = [end for end in ends if end is not None]
    return known if len(known) == len(ends) else None


def _without(points: list[float]) -> tuple[Piece, ...]:
    ends = [-inf, *sorted(set(points)), inf]
    return tuple(Piece(low, high, False, False) for low, high in pairwise(ends))


def _interval(text: str) -> tuple[Piece, ...] | None:
    found = _INTERVAL.fullmatch(text)
    if not found:
        return None
    low, high = _end(found[2]), _end(found[3])
    if low is None or high is None or low > high:
        return None
    return (Piece(low, high, found[1] == "[" and low > -inf, found[4] == "]" and high < inf),)


def _inequality(text: str) -> tuple[Piece, ...] | None:
    """`x>3`, `3<x`, `1<x<=3`, `x!=2`, whichever letter it is."""
    tokens = [token.strip() for token in _RELATION.split(text)]
    if len(tokens) == 3:
        left, relation, right = tokens
        if _LETTER.fullmatch(right) and not _LETTER.fullmatch(left):
            left, relation, right = right, _FLIPPED.get(relation, relation), left
        if relation == "\\ne" and _LETTER.fullmatch(left):
            return _except(right)
        end = _end(right)
        if end is not None and (size := _SIZE.fullmatch(left)):
            return _around(size[1], relation, end)
        if not _LETTER.fullmatch(left) or end is None:
            return None
        return _half_line(relation, end)
    if len(tokens) == 5 and _LETTER.fullmatch(tokens[2]):
        first = _inequality(" ".join(tokens[:3]))
        second = _inequality(" ".join(tokens[2:]))
        return None if first is None or second is None else _both(first, second)
    return None


def _around(inside: str, relation: str, end: float) -> tuple[Piece, ...] | None:
    """What `|ax+b|<c` or `|ax+b|>c` says of x."""
    letters = set(_VARIABLE.findall(inside))
    points = [value(_VARIABLE.sub(f"(0+{i})", inside)) for i in range(3)]
    if len(letters) != 1 or any(point is None or point.imag for point in points):
        return None
    shift, second, third = (point.real for point in points if point is not None)
    slope = second - shift
    if not slope or abs(third - 2 * second + shift) > SLACK:
        return None
    ends = [((one.low - shift) / slope, (one.high - shift) / slope, one) for one in _around_zero(relation, end)]
    return tuple(
        Piece(low, high, one.low_closed, one.high_closed)
        if slope > 0
        else Piece(high, low, one.high_closed, one.low_closed)
        for low, high, one in ends
    )


def _around_zero(relation: str, size: float) -> tuple[Piece, ...]:
    """What `|x|<a` or `|x|>a` says."""
    if relation in ("<", "\\le"):
        return _both(_half_line(relation, size), _half_line(_FLIPPED[relation], -size))
    return (*_half_line(_FLIPPED.get(relation, relation), -size), *_half_line(relation, size))


def _except(text: str) -> tuple[Piece, ...] | None:
    r"""All numbers but one or several: `1, 2`, `\pm 3`."""
    signed = [sign + part for part in re.split("[,;]", text) for sign in (("", "-") if "\\pm" in part else ("",))]
    ends = [_end(part.replace("\\pm", "").strip()) for part in signed]
    known = [end for end in ends if end is not None]
    return _without(known) if len(known) == len(ends) else None


def _half_line(relation: str, end: float) -> tuple[Piece, ...]:
    closed = relation in ("\\le", "\\ge")
    if relation in ("<", "\\le"):
        return (Piece(-inf, end, False, closed),)
    return (Piece(end, inf, closed, False),)


def _end(text: str) -> float | None:
    text = text.strip(TEXT_MARK)
    if text.lstrip("+-") in ("\\infty", "infty", "inf", "oo"):
        return -inf if text.startswith("-") else inf
    exact = number(text)
    if exact is not None:
        return float(exact)
    found = value(text)
    return found.real if found is not None and not found.imag else None


def _both(first: tuple[Piece, ...], second: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """What lies in both regions."""
    pieces = []
    for one in first[:20]:
        for other in second[:20]:
            low, low_closed = max((one.low, not one.low_closed), (other.low, not other.low_closed))
            high, high_closed = min((one.high, one.high_closed), (other.high, other.high_closed))
            if low < high or (low == high and not low_closed and high_closed):
                pieces.append(Piece(low, high, not low_closed, high_closed))
    return tuple(pieces)


def _merged(pieces: list[Piece]) -> tuple[Piece, ...]:
    """The pieces in order, with those that touch made one."""
    out: list[Piece] = []
    for piece in sorted(pieces, key=lambda one: (one.low, not one.low_closed)):
        last = out[-1] if out else None
        if last and (piece.low < last.high or (piece.low == last.high and (piece.low_closed or last.high_closed))):
            high, closed = max((last.high, last.high_closed), (piece.high, piece.high_closed))
            out[-1] = Piece(last.low, high, last.low_closed, closed)
        else:
            out.append(piece)
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Region:
    """A reference that says where a number lies."""

    text: str
    pieces: tuple[Piece, ...]

    def same(self, answer: str, decide: Decide) -> bool | None:
        """Whether the answer describes the same region; an inequality not yet solved takes algebra."""
        text = spaced(answer)
        found = region(text)
        if found is None:
            return decide(compact(text), self.text) if _RELATION.search(text) else False
        return len(found) == len(self.pieces) and all(
            _alike(one, other) for one, other in zip(found, self.pieces, strict=True)
        )


def _alike(one: Piece, other: Piece) -> bool:
    ends = ((one.low, other.low), (one.high, other.high))
    if one[2:] != other[2:]:
        return False
    return all(a == b or (isfinite(a - b) and abs(a - b) <= SLACK * max(1.0, abs(b))) for a, b in ends)
