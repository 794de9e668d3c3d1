r"""Vectors as sums of unit vectors, `2\mathbf{i} - 3\mathbf{j}`."""

from __future__ import annotations

import re

from rewards.normal import TEXT_MARK, compact

_TERM = re.compile(rf"([+-]?)((?:\\[a-zA-Z]++|[^+\-ijk=,;<>\\{TEXT_MARK}])*){TEXT_MARK}*([ijk])(?![a-zA-Z])")


def components(text: str) -> list[str] | None:
    r"""The coordinates of a sum of two or three unit vectors in spaced form, None for something else.

    >>> components("2 ~i - ~k")
    ['2', '0', '-1']
    """
    if "j" not in text and "k" not in text:
        return None
    normal = compact(text)
    terms = list(_TERM.finditer(normal))
    found = {term[3]: term[1].replace("+", "") + (term[2].removesuffix("\\cdot") or "1") for term in terms}
    if not 2 <= len(terms) <= 3 or len(found) != len(terms) or sum(len(term[0]) for term in terms) != len(normal):
        return None
    return [found.get(letter, "0") for letter in ("ijk" if "k" in found else "ij")]
