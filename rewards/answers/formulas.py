r"""Chemical formulas, whichever way sub- and superscripts, charges and states are written."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from rewards.answers.kind import Decide
from rewards.normal import TEXT_MARK, spaced

LONGEST = 300

_ELEMENTS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au "
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts "
    "Og D T"
)
_SYMBOLS = frozenset(_ELEMENTS.split())
STATE = re.compile(r"[\s~]*(?:\(|_\{?\()(?:s|l|g|aq|c|solid|liquid|gas|aqueous)\)\}?", re.IGNORECASE)
MARKS = re.compile(r"\\(?:uparrow|downarrow|triangle|Delta)(?![a-zA-Z])|[↑↓△]|(?<= )[\^v](?=\s*(?:$|\+\s))")
_CHARGE = re.compile(r"\^\{?\s*(\d*)\s*([+-])\s*(\d*)\s*\}?$|\^\{?\s*([+-]+)\s*\}?$|(?<=[A-Za-z\d)\]])(\d?)([+-]+)$")
_TOKEN = re.compile(r"([A-Z][a-z]?)|([(\[])|([)\]])|(\d+)|(\*)")
_NAMED = re.compile(r".+\(([^()\s]*\d[^()\s]*|[A-Z][a-z]?[A-Z][^()\s]*)\)")
_BESIDE = re.compile(r"[a-z][a-z -]*[,:]\s*(\S+)")
_GLOSS = re.compile(r"(\S+)\s*\([a-z][a-z -]*(?:\([IV]+\))?[a-z -]*\)")
_KIND = re.compile(r"\s+(?:gas|ions?|molecules?)$")
_ALKYL = re.compile(r"^CH3(?:CH2)+(?!\d)")
_ELECTRON = re.compile(r"e(?:\^?\{?-\}?)?")


class Formula(NamedTuple):
    """A particle: its formula in one spelling, how many atoms of each element, and its charge."""

    text: str
    atoms: tuple[tuple[str, int], ...]
    charge: int

    @property
    def structural(self) -> bool:
        """Whether it tells how atoms hang together: an element comes twice."""
        symbols = re.findall("[A-Z][a-z]?", self.text)
        return len(symbols) != len(set(symbols))


@lru_cache(maxsize=4096)
def formula(text: str) -> Formula | None:
    r"""The formula that a spaced form is, None for something else.

    >>> formula("SO_4^{2-}")
    Formula(text='SO4', atoms=(('O', 4), ('S', 1)), charge=-2)
    """
    text = _KIND.sub("", MARKS.sub("", STATE.sub("", text.replace(TEXT_MARK, " "))).strip())
    text = re.sub(r"\s*(?:\\cdot(?![a-zA-Z])|\\times(?![a-zA-Z])|[*.])\s*(?=\d*[A-Z])", "*", text).replace(" ", "")
    if _ELECTRON.fullmatch(text):
        return Formula("e", (), -1)
    text, charge = _without_charge(text)
    text = _ALKYL.sub(_condensed, re.sub(r"[_{}]", "", text).replace("\\", ""))
    atoms = _atoms(text)
    return None if atoms is None else Formula(text, atoms, charge)


def _condensed(found: re.Match[str]) -> str:
    """CH3CH2 as C2H5."""
    carbons = 1 + len(found[0][3:]) // 3
    return f"C{carbons}H{2 * carbons + 1}"


def _without_charge(text: str) -> tuple[str, int]:
    found = _CHARGE.search(text)
    if not found:
        return text, 0
    before, sign, behind, signs, plain_size, plain_signs = found.groups()
    if sign:
        size = int(before or behind or 1)
    else:
        sign = (signs or plain_signs)[0]
        size = len(signs or plain_signs) if signs or not plain_size else int(plain_size)
    if plain_signs and plain_size and not _is_ion(text[: found.start()]):
        return text[: found.start()] + plain_size, 1 if sign == "+" else -1
    return text[: found.start()], size if sign == "+" else -size


def _is_ion(text: str) -> bool:
    """Whether a digit behind it and before a sign is a charge: Fe3+, but NH4+ and MnO4-."""
    return len(re.findall("[A-Z]", text)) == 1 or text.endswith("]")


def _atoms(text: str) -> tuple[tuple[str, int], ...] | None:
    """The atoms of `Ca(OH)2` or `CuSO4*5H2O`; None where something else is in it."""
    if not text or len(text) > LONGEST or not (text[0].isupper() or text[0] in "(["):
        return None
    total: Counter[str] = Counter()
    for i, part in enumerate(text.split("*")):
        times = re.match(r"\d*", part)
        count = int(times[0]) if times and times[0] else 1
        atoms = _group(part[len(str(count)) if times and times[0] else 0 :])
        if atoms is None or (i == 0 and times and times[0]) or count > 999:
            return None
        for symbol, number in atoms.items():
            total[symbol] += number * count
    return tuple(sorted(total.items()))


def _group(text: str) -> Counter[str] | None:
    stack: list[Counter[str]] = [Counter()]
    last: Counter[str] = Counter()
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found or found[5]:
            return None
        position = found.end()
        if found[1]:
            if found[1] not in _SYMBOLS:
                return None
            last = Counter({found[1]: 1})
            stack[-1] += last
        elif found[2]:
            stack.append(Counter())
        elif found[3]:
            if len(stack) == 1:
                return None
            last = stack.pop()
            stack[-1] += last
        else:
            times = int(found[4]) if len(found[4]) < 4 else 0
            if not last or not times:
                return None
            stack[-1].update({symbol: number * (times - 1) for symbol, number in last.items()})
            last = Counter()
    return stack[0] if len(stack) == 1 and stack[0] else None


def is_formula(text: str) -> bool:
    """Whether a reference is plainly a formula: with a digit, a charge or two elements, and no word or unit."""
    found = formula(text)
    if found is None or (text.isalpha() and text.isupper() and len(text) > 3):
        return False
    return (
        bool(re.search(r"[\d+^_]|-$", text))
        or (len(re.findall("[A-Z]", text)) >= 2 and not text.isupper())
        or text in ("CO", "NO", "HF", "HI", "CN")
    )


def same(one: Formula, other: Formula) -> bool:
    """Whether two formulas are of one substance, as far as they tell.

    A formula without structure agrees with any structure of the same atoms only as the answer to it.
    """
    if one.atoms != other.atoms or one.charge != other.charge:
        return False
    return one.text == other.text or not one.structural


@dataclass(frozen=True, slots=True)
class Substance:
    """A reference that is a formula."""

    formula: Formula

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer is a formula of the same substance."""
        text = spaced(answer)
        found = formula(text)
        bare = text.replace(TEXT_MARK, "").strip()
        for pattern in (_GLOSS, _BESIDE, _NAMED):
            if found is None and (named := pattern.fullmatch(bare)):
                found = formula(named[1])
        return found is not None and same(self.formula, found)
