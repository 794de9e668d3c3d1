"""Answers of all kinds that verifiable rewards meet, right about half of the time, for the benchmark."""

from __future__ import annotations

import random
from collections.abc import Callable

from rewards.grader import Answered

Kind = Callable[[random.Random], list[Answered]]


def _asked(answer: str, reference: str, task: str = "math") -> list[Answered]:
    return [Answered(rf"so it is \boxed{{{answer}}}", reference, task)]  # pyright: ignore[reportArgumentType]


def numbers(draw: random.Random) -> list[Answered]:
    """Whole numbers."""
    number = draw.randrange(10**6)
    return _asked(str(number + draw.randrange(2)), str(number))


def separators(draw: random.Random) -> list[Answered]:
    """Whole numbers with separators."""
    number = draw.randrange(10**4, 10**9)
    return _asked(f"{number + draw.randrange(2):,}", str(number))


def words(draw: random.Random) -> list[Answered]:
    """Words."""
    said, wanted = (" ".join(draw.choices(("red", "blue", "circle", "even", "left"), k=3)) for _ in range(2))
    return _asked(rf"\text{{{draw.choice((said, wanted))}}}", wanted)


def choices(draw: random.Random) -> list[Answered]:
    """Letters of a multiple choice."""
    return _asked(rf"\text{{({draw.choice('ABCDE')})}}", draw.choice("ABCDE"))


def fractions(draw: random.Random) -> list[Answered]:
    """Fractions, written otherwise."""
    top, bottom, factor = draw.randrange(1, 500), draw.randrange(2, 500), draw.randrange(2, 9)
    return _asked(rf"\frac{{{factor * top}}}{{{factor * bottom}}}", f"{top}/{bottom + draw.randrange(2)}")


def percents(draw: random.Random) -> list[Answered]:
    """Percentages."""
    number = draw.randrange(1, 10**4)
    return _asked(rf"{number / 100}\%", f"{(number + draw.randrange(2)) / 10**4}")


def quantities(draw: random.Random) -> list[Answered]:
    """Figures with a unit, in another one half of the time."""
    number = draw.randrange(1, 10**5)
    figure, unit = draw.choice(((number * 1000, "g"), (number, "kg")))
    return _asked(rf"{figure}\text{{ {unit}}}", f"{number * draw.choice((1, 2))} kg", "stem")


def intervals(draw: random.Random) -> list[Answered]:
    """Unions of intervals."""
    a, b, c = sorted(draw.sample(range(1, 500), 3))
    return _asked(rf"(-\infty, {a}] \cup [{b}, {c})", rf"[{b},{c + draw.randrange(2)})\cup(-\infty,{a}]")


def matrices(draw: random.Random) -> list[Answered]:
    """Matrices of two by two."""
    a, b, c, d = (draw.randrange(1, 99) for _ in range(4))
    wanted = rf"\begin{{pmatrix}}\frac{{{2 * a}}}{{2}}&{b}\\{c}&{d + draw.randrange(2)}\end{{pmatrix}}"
    return _asked(rf"\begin{{bmatrix}}{a} & {b} \\ {c} & {d}\end{{bmatrix}}", wanted)


def polynomials(draw: random.Random) -> list[Answered]:
    """Polynomials to multiply out."""
    a, b = draw.randrange(1, 300), draw.randrange(1, 300)
    return _asked(f"(x+{a})(x-{b})", f"x^2+{a - b}x-{a * b + draw.randrange(2)}".replace("+-", "-"))


def roots(draw: random.Random) -> list[Answered]:
    """Radicals."""
    a, b = draw.randrange(2, 50), draw.randrange(2, 99)
    return _asked(rf"{a}\sqrt{{{b}}}", rf"\sqrt{{{a * a * b + draw.randrange(2)}}}")


def trigonometry(draw: random.Random) -> list[Answered]:
    """Identities of sines and cosines."""
    a = draw.randrange(1, 300)
    return _asked(rf"{a}\sin(2x)", rf"{2 * a + draw.randrange(2)}\sin x\cos x")


def lines(draw: random.Random) -> list[Answered]:
    """Equations of lines in another form."""
    a, b = draw.randrange(2, 99), draw.randrange(1, 99)
    return _asked(f"y = {a}x + {b}", f"{2 * a}x - 2y + {2 * b + draw.randrange(2)} = 0")


def inequalities(draw: random.Random) -> list[Answered]:
    """Inequalities against intervals."""
    a = draw.randrange(1, 999)
    return _asked(rf"x \ge {a}", rf"[{a + draw.randrange(2)}, \infty)")


def sets(draw: random.Random) -> list[Answered]:
    """Sets in another order."""
    members = draw.sample(range(999), 3)
    wanted = [*members[:2], members[2] + draw.randrange(2)]
    draw.shuffle(wanted)
    return _asked(rf"\{{{', '.join(map(str, members))}\}}", rf"\{{{','.join(map(str, wanted))}\}}")


def integrals(draw: random.Random) -> list[Answered]:
    """Antiderivatives with a constant."""
    a, b = draw.randrange(2, 99), draw.randrange(2, 99)
    return _asked(
        rf"{a}\ln|x| + \frac{{x^{{{b}}}}}{{{b}}} + C", rf"\frac{{x^{{{b}}}}}{{{b + draw.randrange(2)}}}+{a}\ln|x|+C"
    )


def logarithms(draw: random.Random) -> list[Answered]:
    """Logarithms of a base that is not said."""
    a, b = draw.randrange(2, 999), draw.randrange(2, 999)
    return _asked(rf"{a}\log x + \log {b}", rf"\log({b + draw.randrange(2)}x^{{{a}}})")


def functions(draw: random.Random) -> list[Answered]:
    """Functions that have no definition: what is left to algebra."""
    a, b = draw.randrange(2, 999), draw.randrange(2, 999)
    return _asked(f"{a}f(x) + {b}g(x)", f"{b + draw.randrange(2)}g(x)+{a}f(x)")


_PLAIN = (numbers, separators, words, choices, fractions, percents, quantities)
_FORMS = (intervals, matrices, polynomials, roots, trigonometry, lines, inequalities, sets, integrals, logarithms,
          functions)  # fmt: skip
PLAIN: dict[str, Kind] = {one.__name__: one for one in _PLAIN}
"""What strings and numbers decide."""
KINDS: dict[str, Kind] = {**PLAIN, **{one.__name__: one for one in _FORMS}}


def mixture(draw: random.Random) -> list[Answered]:
    """An answer of any kind, each as often as the others."""
    return draw.choice(list(KINDS.values()))(draw)


def groups(draw: random.Random) -> list[Answered]:
    """Eight samples of a prompt, which say one of three things."""
    (right,) = mixture(draw)
    said = [right.answer, right.answer.replace("1", "2"), right.answer.replace("3", "4")]
    return [right._replace(answer=draw.choice(said)) for _ in range(8)]
