r"""What stands behind one large brace: a system of equations, or a function by cases."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rewards.answers.kind import Decide, Kind, all_of, matched
from rewards.normal import TEXT_MARK, spaced

MOST = 6

_BRACE = re.compile(
    r"(?:(.*?)=\s*)?(?:\\\{\s*)?\\begin\s*\{(cases|aligned|array)\}(?:\s*\{[lcr| ]*\})?(.*)\\end\s*\{\2\}[\s.]*",
    re.DOTALL,
)
_IF = re.compile(
    rf"^[\s,{TEXT_MARK}]*(?:if|for|when|where|as|当|若)?[\s,{TEXT_MARK}]*(.*?)[\s,;{TEXT_MARK}]*(?:时)?[\s.]*$",
    re.DOTALL,
)
_COMMA = re.compile(rf",\s*(?=[{TEXT_MARK}\s]*(?:if|for|when|otherwise|[a-zA-Z0-9-]+\s*(?:[<>=]|\\[lgn]e)))")
_OTHERWISE = re.compile(r"otherwise|else|其他|其它", re.IGNORECASE)


def system(text: str) -> list[str] | None:
    r"""The lines of a system of equations in spaced form, None for something else.

    >>> system(r"\begin{cases} x = 1 \\ y = 2 \end{cases}")
    ['x = 1', 'y = 2']
    """
    found = _BRACE.fullmatch(text) if "\\begin" in text else None
    if found is None or found[1] or (found[2] == "array" and not text.startswith("\\{")):
        return None
    rows = [re.sub(r"&\s*(?==)|(?<==)\s*&", "", row).strip(" ,;") for row in re.split(r"\\\\", found[3])]
    rows = [row for row in rows if row]
    return rows if 1 < len(rows) <= MOST and all("=" in row and "&" not in row for row in rows) else None


def pieces(text: str) -> list[tuple[str, str]] | None:
    """The values and conditions of a function by cases in spaced form, None for something else."""
    found = _BRACE.fullmatch(text) if "\\begin" in text else None
    if found is None or (found[2] == "array" and "\\{" not in text):
        return None
    out: list[tuple[str, str]] = []
    for row in filter(str.strip, re.split(r"\\\\", found[3])):
        value, comma, condition = row.partition("&")
        if not comma:
            value, *rest = _COMMA.split(row, maxsplit=1)
            condition = rest[0] if rest else ""
        bare = _IF.match(condition)
        if not condition.strip() or bare is None:
            return None
        out.append((value.strip(" ,;"), "" if _OTHERWISE.search(bare[1]) else bare[1]))
    return out if 1 < len(out) <= MOST else None


@dataclass(frozen=True, slots=True)
class Piecewise:
    """A reference that is a function by cases: values and where they hold, None where nothing else does."""

    rows: tuple[tuple[Kind, Kind | None], ...]

    def same(self, answer: str, decide: Decide) -> bool | None:
        """Whether the answer has the same values under the same conditions, in any order."""
        found = pieces(spaced(answer))
        if found is None or len(found) != len(self.rows) or [where for _, where in found].count("") > 1:
            return False
        return matched([[_row(mine, said, decide) for said in found] for mine in self.rows])


def _row(mine: tuple[Kind, Kind | None], said: tuple[str, str], decide: Decide) -> bool | None:
    """Whether a value and its condition are those of the reference; "otherwise" is any condition that is left."""
    (value, where), (text, condition) = mine, said
    agrees = True if where is None or not condition else where.same(condition, decide)
    return all_of([value.same(text, decide), agrees])
