r"""Whether two expressions are the same, by working both out at some points: fast, and in bounded time on any text.

Points decide where algebra need not. Rational expressions are worked out modulo a prime, exactly: two that differ
agree at a random point with a chance of their degree in 2^61 (Schwartz and Zippel). All are worked out in floating
point, too, with positive letters and with negative ones; agreement means to twelve digits. Where that is not clear
the answer is None, and algebra is asked.
"""

from __future__ import annotations

import cmath
import math
import random
from collections.abc import Callable, Mapping
from functools import lru_cache

from rewards.expression import BASE, Tree, UnreadError, letters, read

PRIME = 2**61 - 31
"""A prime that is 1 modulo 4, so that -1 has a root."""
AGREEMENT = 1e-12
DISAGREEMENT = 1e-9
CANCELLATION = 1e-10
LARGEST_EXPONENT = 100_000
LARGEST_FACTORIAL = 1_000
LARGEST_GAMMA = 171.0
CONSTANT = "C"
r"""A constant of integration: with it, \ln x stands for \ln|x|, as most people write it; without it, it does not."""
POSITIVE = 3
"""Points with positive letters alone at which floating point is to agree."""
SIZES = ((0.3, 0.9), (1.5, 2.9), (1.04, 1.2), (0.8, 0.95), (1.1, 1.4))
"""Where the letters of such points lie: below 1 and above, so that no power of them is lost beside the others; the
last ones take the place of points at which a great power is too large or too small to be a number."""
MIXED_SIZES = ((0.4, 0.9), (1.05, 1.4))
"""The same for points with negative letters among them."""
_BASE = SIZES[1][1]

Point = Mapping[str, complex]


class _Undefined(ArithmeticError):
    """A tree that has no value at a point, or none that is surely meant."""


def identity(left: str, right: str) -> bool | None:
    r"""Whether two LaTeX expressions are the same; None where that is not surely known.

    >>> identity("(x+1)^2", "x^2+2x+1"), identity("2x", "x+2"), identity("|x|", "x")
    (True, False, None)
    """
    try:
        first, second = _read(left), _read(right)
    except UnreadError:
        return None
    names, others = letters(first), letters(second)
    exact = _exactly_equal(first, second, names | others)
    near = _nearly_equal(first, second, names | others, rational=exact is True)
    if exact and near:
        return True
    different = exact is False or near is False
    if names == others:
        return False if different else near if exact is None else None
    return False if different and _surely_other(names, others) else near or None


def proportional(left: str, right: str) -> bool | None:
    """Whether two LaTeX expressions are the same up to a factor, a number other than 0; None where not surely known.

    >>> proportional("2y-(4x+2)", "y-(2x+1)"), proportional("x", "x^2")
    (True, False)
    """
    try:
        first, second = _read(left), _read(right)
    except UnreadError:
        return None
    names = sorted(letters(first) | letters(second))
    draw = random.Random(2)
    points = [{name: draw.randrange(2, PRIME) for name in names} for _ in range(3)]
    try:
        ratios = {_residue(first, point) * pow(_residue(second, point), -1, PRIME) % PRIME for point in points}
    except (ArithmeticError, ValueError):
        return None
    return len(ratios) == 1 and 0 not in ratios


def _surely_other(names: frozenset[str], others: frozenset[str]) -> bool:
    """Whether letters are not the same ones in another case, nor those of a unit behind a number, nor log and ln."""
    return bool(names and others and BASE not in names ^ others) and {one.lower() for one in names} != {
        one.lower() for one in others
    }


def value(latex: str) -> complex | None:
    r"""The number that an expression without letters is; None for any other.

    >>> value(r"\frac{\sqrt{16}}{2}")
    (2+0j)
    """
    try:
        return _evaluate(_read(latex), {})
    except (UnreadError, ArithmeticError, ValueError, KeyError):
        return None


@lru_cache(maxsize=10_000)
def _read_or_none(latex: str) -> Tree | None:
    try:
        return read(latex)
    except UnreadError:
        return None


def _read(latex: str) -> Tree:
    tree = _read_or_none(latex)
    if tree is None:
        raise UnreadError(latex)
    return tree


def _exactly_equal(first: Tree, second: Tree, names: frozenset[str]) -> bool | None:
    """Whether two rational expressions are equal modulo the prime; None for others."""
    draw = random.Random(str(sorted(names)))
    point = {name: draw.randrange(2, PRIME) for name in sorted(names)}
    try:
        return _residue(first, point) == _residue(second, point)
    except (ArithmeticError, ValueError):
        return None


def _residue(tree: Tree, point: Mapping[str, int]) -> int:
    """The value of a rational expression modulo the prime.

    Raises:
        ArithmeticError: it is none, or its denominator is 0 at the point.
        ValueError: likewise.
    """
    match tree.operation:
        case "number":
            return tree.number.numerator * pow(tree.number.denominator, -1, PRIME) % PRIME
        case "letter":
            return point[tree.letter]
        case "i":
            return _ROOT_OF_MINUS_ONE
        case "^":
            return pow(_residue(tree.children[0], point), _whole(tree.children[1]), PRIME)
    values = [_residue(child, point) for child in tree.children]
    match tree.operation:
        case "+":
            return sum(values) % PRIME
        case "*":
            return math.prod(values) % PRIME
        case "/":
            return values[0] * pow(values[1], -1, PRIME) % PRIME
        case "neg":
            return -values[0] % PRIME
    raise _Undefined(tree.operation)


_ROOT_OF_MINUS_ONE = next(root for base in range(2, 100) if pow(root := pow(base, PRIME // 4, PRIME), 2, PRIME) != 1)


def _whole(tree: Tree) -> int:
    """The whole number that an exponent is.

    Raises:
        ArithmeticError: it is none, or one too large.
    """
    found = _evaluate(tree, {}) if not letters(tree) else 0.5
    if found.imag or found.real != round(found.real) or abs(found) > LARGEST_EXPONENT:
        raise _Undefined("an exponent")
    return int(found.real)


def _nearly_equal(first: Tree, second: Tree, names: frozenset[str], rational: bool) -> bool | None:
    """Whether two expressions agree at all points, or differ where all letters are positive.

    Where residues have shown that they are the same `rational` function, digits that cancel out leave no doubt.
    """
    draw = random.Random(1)
    wanted = POSITIVE if names else 1
    agreed, unclear = 0, False
    bars_count = CONSTANT not in names and _has_bars(first) != _has_bars(second)
    for i, sizes in enumerate((*SIZES, *MIXED_SIZES) if names else SIZES[:1]):
        positive = i < len(SIZES)
        if positive and agreed == wanted:
            continue
        point = _point(names, draw, sizes, (1,) if positive else (-1, 1, -1))
        try:
            found = _agree(first, second, point)
        except (ArithmeticError, ValueError):
            unclear = unclear or (bars_count and _has_value(first, point) != _has_value(second, point))
            continue
        if found is False and positive:
            return False
        agreed += found is True
        unclear = unclear or not (
            found or positive or (rational and found is None)
        )  # where digits cancel out, another point takes the place
    return True if agreed >= wanted and not unclear else None


def _point(names: frozenset[str], draw: random.Random, sizes: tuple[float, float], signs: tuple[int, ...]) -> Point:
    point: dict[str, complex] = {name: draw.choice(signs) * draw.uniform(*sizes) for name in sorted(names)}
    return {**point, BASE: _BASE}


def _has_bars(tree: Tree) -> bool:
    return tree.operation == "abs" or any(map(_has_bars, tree.children))


def _has_value(tree: Tree, point: Point) -> bool:
    try:
        _evaluate(tree, point)
    except (ArithmeticError, ValueError):
        return False
    return True


def _agree(first: Tree, second: Tree, point: Point) -> bool | None:
    """Whether two expressions have the same value at a point; None where that is not clear.

    Raises:
        ArithmeticError: one has no value, or too large a one.
        ValueError: likewise.
    """
    one, other = _evaluate(first, point), _evaluate(second, point)
    distance, size = abs(one - other), max(abs(one), abs(other))
    if distance <= AGREEMENT * size:
        return True
    sure = distance > DISAGREEMENT * size and distance > _doubt(first, point) + _doubt(second, point)
    return False if sure else None


def _doubt(tree: Tree, point: Point) -> float:
    """How far off the value of an expression may be, as digits cancel out between its parts."""
    return max([CANCELLATION * abs(_evaluate(tree, point)), *(_doubt(child, point) for child in tree.children)])


def _evaluate(tree: Tree, point: Point) -> complex:
    """The value of an expression in floating point.

    Raises:
        ArithmeticError: it has none, or too large a one.
        ValueError: likewise.
    """
    match tree.operation:
        case "number":
            return complex(tree.number)
        case "letter":
            return point[tree.letter]
    values = [_evaluate(child, point) for child in tree.children]
    result = _OPERATIONS[tree.operation](*values)
    if not cmath.isfinite(result):
        raise _Undefined(tree.operation)
    return result + 0  # so that there is no -0, which is on the other side of a root's cut


def _power(base: complex, exponent: complex) -> complex:
    """A power; none for a negative base with a broken exponent, which is read in more than one way."""
    whole = not exponent.imag and exponent.real == round(exponent.real)
    if not whole and not base.imag and base.real < 0:
        raise _Undefined("a root of a negative number")
    return base ** (int(exponent.real) if whole else exponent)


def _root(radicand: complex, degree: complex) -> complex:
    if degree == 2:
        return cmath.sqrt(radicand)
    return _power(radicand, 1 / degree)


def _log(argument: complex, base: complex = math.e) -> complex:
    """A logarithm; none for a negative number, where expressions are compared in their common domain alone."""
    if not argument.imag and argument.real < 0:
        raise _Undefined("a logarithm of a negative number")
    return cmath.log(argument) / cmath.log(base)


def _factorial(argument: complex) -> complex:
    number = _natural(argument, 170)
    return complex(_gamma(argument + 1) if number is None else math.factorial(number))


def _binomial(top: complex, bottom: complex) -> complex:
    """A binomial coefficient, for letters between whole numbers as well, so that n(n-1)/2 is one."""
    number, chosen = _natural(top, LARGEST_FACTORIAL), _natural(bottom, LARGEST_FACTORIAL)
    if number is None or chosen is None:
        return complex(_gamma(top + 1) / _gamma(bottom + 1) / _gamma(top - bottom + 1))
    return complex(math.comb(number, chosen))


def _gamma(argument: complex) -> float:
    """Euler's function, which continues factorials; none for complex numbers, nor where its sign turns."""
    if argument.imag or not 0 < argument.real <= LARGEST_GAMMA:
        raise _Undefined("a factorial")
    return math.gamma(argument.real)


def _natural(argument: complex, largest: int) -> int | None:
    """The natural number that an argument is, None for any other number.

    Raises:
        ArithmeticError: it is larger than that.
    """
    if argument.imag or argument.real < 0 or argument.real != int(argument.real):
        return None
    if argument.real > largest:
        raise _Undefined("too large a number")
    return int(argument.real)


_OPERATIONS: dict[str, Callable[..., complex]] = {
    "pi": lambda: complex(math.pi),
    "e": lambda: complex(math.e),
    "i": lambda: 1j,
    "+": lambda a, b: a + b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "neg": lambda a: -a,
    "^": _power,
    "root": _root,
    "log": _log,
    "!": _factorial,
    "binom": _binomial,
    "abs": lambda a: complex(abs(a)),
    "sin": cmath.sin,
    "cos": cmath.cos,
    "tan": cmath.tan,
    "cot": lambda a: 1 / cmath.tan(a),
    "sec": lambda a: 1 / cmath.cos(a),
    "csc": lambda a: 1 / cmath.sin(a),
    "sinh": cmath.sinh,
    "cosh": cmath.cosh,
    "tanh": cmath.tanh,
    "arcsin": cmath.asin,
    "arccos": cmath.acos,
    "arctan": cmath.atan,
    "arsinh": cmath.asinh,
    "arcosh": cmath.acosh,
    "artanh": cmath.atanh,
    "ln": _log,
    "exp": cmath.exp,
}
