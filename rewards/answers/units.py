r"""Units: what `km/h`, `\mathrm{J\,g^{-1}\,K^{-1}}`, `meters per second` and `米/秒` are in SI.

pint knows the units; it is asked for one bare name at a time and never parses what a model wrote, so that nothing
can keep it busy. It is loaded when the first unit has to be known (0.9 s).
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache, lru_cache
from math import pi
from typing import Any, NamedTuple

from rewards.answers.unit_names import ALIASES
from rewards.normal import TEXT_MARK

ANGLE = (("angle", 1),)
_OFFSETS = {"°C": (1.0, 273.15), "°F": (5 / 9, 459.67 * 5 / 9)}
_OWN = {
    "%": (0.01, ()), "rad": (1.0, ANGLE), "radian": (1.0, ANGLE), "degree": (pi / 180, ANGLE),
    "revolution": (2 * pi, ANGLE), "turn": (2 * pi, ANGLE), "$": (1.0, (("dollar", 1),)), "¢": (0.01, (("dollar", 1),)),
    "€": (1.0, (("euro", 1),)), "£": (1.0, (("pound sterling", 1),)), "¥": (1.0, (("yuan", 1),)),
    "角": (0.1, (("yuan", 1),)),
}  # fmt: skip
_CONSTANTS = frozenset("cekGRnpxyzijqrwvfbEIOPQUXYZD")
"""Letters that are constants or prefixes to pint, and variables to everyone else."""
_PER = frozenset(("per", "/", "每"))
_EXPONENT = r"\^?\s*(?:\{\s*([+-]?\d{1,2})\s*\}|\(([+-]?\d{1,2})\)|([+-]?\d{1,2}))(?![\d.])"
_TOKEN = re.compile(rf"\s*(?:([A-Za-z_μΩÅ°%$€£¥¢℃一-鿿]+|1(?=/))|{_EXPONENT}|([*/()]))")
_DEGREE = r"(?:\^\s*\{?\s*\\circ\s*\}?|°|(?<![a-z])deg(?:rees?)?)"
_SPELLINGS = (
    (re.compile(r"\belectron[ -]?volts?\b", re.IGNORECASE), "eV"),
    (re.compile(r"\blight[ -]?years?\b", re.IGNORECASE), "light_year"),
    (re.compile(r"\\mu(?![a-zA-Z])\s*~?\s*"), "μ"),
    (re.compile(r"\\(?:Omega|ohm)(?![a-zA-Z])"), "Ω"),
    (re.compile(r"\\(?:AA|angstrom)(?![a-zA-Z])"), "Å"),
    (re.compile(rf"{_DEGREE}[\s~]*(?=[CF](?![a-zA-Z])|[cC]elsius|[fF]ahrenheit)"), "°"),
    (re.compile(r"\^\s*\{?\s*\\circ\s*\}?"), "° "),
    (re.compile(r"°(?:celsius|Celsius)"), "°C"),
    (re.compile(r"°(?:fahrenheit|Fahrenheit)"), "°F"),
    (re.compile(r"\\(?:cdot|times)(?![a-zA-Z])|⋅|·"), "*"),
    (re.compile(r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"(\1)/(\2)"),
    (re.compile(r"每"), " 每 "),
    (re.compile(r"\bsquare[d]?\s+([a-zA-Z]+)"), r"\1^2"),
    (re.compile(r"\bcubic\s+([a-zA-Z]+)"), r"\1^3"),
    (re.compile(r"\b([a-zA-Z]+)\s+squared\b"), r"\1^2"),
    (re.compile(r"\b([a-zA-Z]+)\s+cubed\b"), r"\1^3"),
)  # fmt: skip


class Unit(NamedTuple):
    """A unit: `factor` to SI, the zero of a temperature scale as `offset` in kelvin, and its dimensions, sorted."""

    factor: float
    dimensions: tuple[tuple[str, int], ...]
    offset: float = 0.0

    @property
    def percent(self) -> bool:
        """Whether it is per cent."""
        return self.factor == 0.01 and not self.dimensions


NONE = Unit(1.0, ())
HIGHEST_POWER = 9


@lru_cache(maxsize=4096)
def unit(text: str) -> Unit | None:
    r"""The unit that a text is; `NONE` for an empty one, None for what is no unit.

    >>> unit("km/h")
    Unit(factor=0.2777777777777778, dimensions=(('[length]', 1), ('[time]', -1)), offset=0.0)
    """
    text = spelled(text)
    if not text:
        return NONE
    if text in _OFFSETS:
        return Unit(_OFFSETS[text][0], (("[temperature]", 1),), _OFFSETS[text][1])
    tokens = _tokens(text)
    return None if tokens is None else _product(tokens)


def spelled(text: str) -> str:
    """The text of a unit without LaTeX."""
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    text = text.replace(TEXT_MARK, " ").replace("{", "").replace("}", "").strip(" .")
    return ALIASES[text] if ALIASES.get(text) in _OFFSETS else " ".join(text.split())


def _tokens(text: str) -> list[str | int] | None:
    """Names, exponents and `*/()`; None where something else is in it."""
    tokens: list[str | int] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found or found.end() == position:
            return None
        name, *exponents, operator = found.groups()
        exponent = next(filter(None, exponents), None)
        tokens.append(int(exponent) if exponent else name or operator)
        position = found.end()
    return tokens if len(tokens) <= 24 else None


def _product(tokens: list[str | int]) -> Unit | None:
    """The unit of tokens; all that stands behind a slash divides, `J/mol K` as well as `J/(mol*K)`."""
    powers = _powers(tokens)
    if powers is None:
        return None
    factor, dimensions = 1.0, Counter[str]()
    for name, power in powers:
        base = _base(name)
        if base is None or abs(power) > HIGHEST_POWER:
            return None
        factor *= base.factor**power
        for dimension, exponent in base.dimensions:
            dimensions[dimension] += exponent * power
    left = {name: exponent for name, exponent in dimensions.items() if exponent}
    if len(left) > 1:
        left.pop("angle", None)  # rad/s is 1/s
    return Unit(factor, tuple(sorted(left.items())))


def _powers(tokens: list[str | int]) -> list[tuple[str, int]] | None:
    """The names in a product and the power of each; None where brackets or exponents are out of place."""
    powers: list[tuple[str, int]] = []
    sign, opened = 1, [1]
    for before, token in zip(["", *tokens], tokens, strict=False):
        if isinstance(token, int):
            if before in ("", "*", "/", "(", ")") or isinstance(before, int):
                return None
            powers[-1] = (powers[-1][0], powers[-1][1] * token)
        elif token in _PER:
            sign = -opened[-1]
        elif token == "(":
            opened.append(sign)
        elif token == ")":
            opened.pop()
            if not opened:
                return None
            sign = opened[-1]
        elif token not in ("*", "1"):
            powers.append((token, sign))
    return powers if len(opened) == 1 else None


@lru_cache(maxsize=4096)
def _base(name: str) -> Unit | None:
    """One named unit, None where the name is none."""
    name = ALIASES.get(name, name)
    if name in _OWN:
        return Unit(*_OWN[name])
    if name in _OFFSETS:
        return Unit(_OFFSETS[name][0], (("[temperature]", 1),))
    if name in _CONSTANTS or len(name) > 30 or not re.fullmatch(r"[A-Za-zμΩÅ_]+[23]?", name):
        return None
    exponent = int(name[-1]) if name[-1] in "23" else 1
    return _from_pint(name.rstrip("23"), exponent)


def _from_pint(name: str, exponent: int) -> Unit | None:
    pint, registry = _registry()
    for spelling in dict.fromkeys((name, name.lower() if len(name) > 3 else name)):
        try:
            root = registry.Quantity(1.0, registry.Unit(spelling)).to_base_units()
        except (pint.PintError, AttributeError, TypeError, ValueError):
            continue
        dimensions = tuple(sorted((key, int(value) * exponent) for key, value in root.dimensionality.items()))
        return Unit(root.magnitude**exponent, dimensions)
    return None


@cache
def _registry() -> tuple[Any, Any]:
    """Pint and its registry; imported here as it takes 0.9 s, and most answers have no unit."""
    import pint

    return pint, pint.UnitRegistry(cache_folder=None)
