r"""Hostile answers by the hundred, for the benchmark and the tests: none is `REFERENCE`, and none may be paid.

Bombs for whoever computes them, floods for whoever parses them, characters that are not what they look like, macros
that double and double again, and code for whoever evaluates them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

REFERENCE = "7391"
UNEVALUATED = r"\sum_{k=1}^{n} \int_0^1 k x^2 \, dx"
"""A reference that lets sums and integrals through to algebra."""


def hostile() -> list[str]:
    """All of them, the same each time."""
    families = (
        _towers,
        _combinatorics,
        _expansions,
        _calculus,
        _matrices,
        _floods,
        _nests,
        _characters,
        _macros,
        _code,
    )
    return [answer for family in families for answer in family()]


def _towers() -> Iterator[str]:
    for base in ("2", "9", "10", "99", "7391"):
        for height in (3, 4, 7, 50):
            yield "^{".join([base] * height) + "}" * (height - 1)
            yield "**".join([base] * height)
            yield "^".join([base] * height)
        yield from (rf"{base}^{{10^{n}}}" for n in (6, 9, 12, 99))
        yield from (f"{base}^{{{'9' * n}}}" for n in (5, 9, 90))
        yield from (
            rf"\sqrt{{{base}^{{1e9}}}}",
            rf"\log({base}^{{{base}^{{99^{{99}}}}}})",
            f"{base}^{{-10^{{10^{{10}}}}}}",
        )
    yield from (r"\sin(10^{10^8})", r"e^{e^{e^{e^{100}}}}", r"\exp(\exp(\exp(\exp(100))))", r"7^{10^{12}} \mod 1000")
    yield from ("((((9^{99})^{99})^{99})^{99})", r"x^{x^{x^{x^{9^{9^9}}}}}", "1e999999999", "1E-99999999", "5e5e5e5")


def _combinatorics() -> Iterator[str]:
    for n in ("1000000", "100000007", "1000000000", "10^7", "10^{10}", "9!", "99!", "(9!)"):
        yield from (f"({n})!", f"{n}!!", rf"\frac{{({n})!}}{{({n}-1)!}}", rf"\Gamma({n}0000)")
    yield from ("((((3!)!)!)!)!", "3!!!!!!", "9!" * 300, r"\prod_{i=1}^{10^6} i")
    for n in (10**5, 10**7, 10**9):
        yield from (rf"\binom{{{n}}}{{{n // 2}}}", rf"\dbinom{{{n}}}{{7}}", rf"{{{n} \choose {n // 3}}}")


def _expansions() -> Iterator[str]:
    for n in (30, 300, 900, 9999):
        yield from (f"(x+y+z+w)^{{{n}}}", f"(a+b)^{{{n}}}(c+d)^{{{n}}}(f+g)^{{{n}}}", f"((x+1)^{{{n}}}+1)^{{{n}}}")
    yield "".join(f"(x+{i})" for i in range(120))
    yield "".join(f"(x_{{{i}}}+y_{{{i}}})" for i in range(60))
    yield "+".join(rf"\sin^{{{i}}}({i}x)\cos^{{{i}}}({i}y)" for i in range(2, 30))
    yield "+".join(rf"\sqrt{{{i}+\sqrt{{x+{i}}}}}" for i in range(2, 40))
    yield from ("+".join("1" * n) for n in (300, 490, 50_000))
    yield from ("abcdefghijklmnopqrstuvwxyz" * n for n in (2, 38, 4000))


def _calculus() -> Iterator[str]:
    for bound in ("10^9", "10^{99}", "999999999", "9^{9^9}", r"\infty", "n"):
        yield from (
            rf"\sum_{{k=1}}^{{{bound}}} k^k",
            rf"\prod_{{k=1}}^{{{bound}}} (k+x)",
            rf"\sum_{{k=1}}^{{{bound}}} 1/k",
        )
    for n in (1, 2, 5, 40):
        yield r"\int_0^1 " * n + r"e^{\sin(x^{x})} \tan(x^7) dx"
        yield r"\lim_{x \to 0} " * n + r"\frac{\sin(x^{x})}{x^{9}}"
    yield from (r"\int \frac{1}{x^{99}+x^{7}+1} dx", r"\int \sqrt{\sin x + \sqrt{\cos x + \sqrt{\tan x}}} dx")
    yield from (r"\iiint\iiint\iiint xyz", r"\oint" * 200, r"\frac{d}{dx}" * 50 + "x^x")


def _matrices() -> Iterator[str]:
    for name in ("pmatrix", "vmatrix", "bmatrix"):
        for n in (6, 12, 30):
            rows = r"\\".join("&".join(f"a_{{{i}{j}}}" for j in range(n)) for i in range(n))
            yield rf"\begin{{{name}}}{rows}\end{{{name}}}"
            yield rf"\det\begin{{{name}}}{rows}\end{{{name}}}^{{99}}"
    for name in ("eye", "zeros", "ones", "diag"):
        yield from (rf"\operatorname{{{name}}}({n})" for n in ("99999", "10^9"))


def _floods() -> Iterator[str]:
    pieces = [
        *"19{}($x^!-[%_ \n,\\",
        "{}",
        r"\boxed{",
        r"\frac{",
        r"\left(",
        r"\text{a} ",
        "the answer is ",
        "= 5 ",
        "1+",
    ]
    for piece in pieces:
        yield from (piece * (n // len(piece)) for n in (101, 900, 5000))
    for piece in pieces[::3]:
        yield piece * (100_000 // len(piece))
    yield from ("3." + "14159" * 20_000, "0." + "0" * 90_000 + "1", "1" + ",000" * 20_000, "1 " * 30_000)


def _nests() -> Iterator[str]:
    for depth in (10, 13, 50, 300):
        for opened, closed in (
            ("{", "}"),
            ("(", ")"),
            (r"\sqrt{", "}"),
            (r"\frac{1}{1+", "}"),
            (r"\left[", r"\right]"),
        ):
            yield opened * depth + "x" + closed * depth
        yield from (r"\sqrt" * depth + "2", "|" * depth, r"\boxed{" * depth + "1" + "}" * depth, "-" * depth + "1")


def _characters() -> Iterator[str]:
    yield from (
        "\x00",
        "7\x00391",
        "\x007391",
        "7391\x00",
        "\x1b[2J7391",
        "\ud800",
        "7391\udfff",
        "\ufffe",
        "\x85",
        "\x7f",
    )
    yield from ("\u202e1937", "\u20667391\u2069", "73\u202d91", "\u202e7391\u202c")
    yield from (
        "7З91",
        "73б1",
        "7391О",
        "Ƽ",
        "l",
        "１９３７",
        "𝟏𝟗𝟑𝟕",
        "①⑨③⑦",
        "Ⅶ",
        "七千",
        "7³⁹¹",
        "١٩٣٧",
        "۱۹۳۷",
        "१९३७",
    )
    yield from ("\u200b" * n for n in (1, 1000, 100_000))
    yield from ("\u0301" * n for n in (10, 100_000))
    yield "".join(chr(0xE0000 + ord(one)) for one in REFERENCE)
    draw = random.Random(0)
    for length in (5, 50, 900):
        for _ in range(8):
            yield "".join(
                chr(draw.choice((draw.randrange(1, 0x300), draw.randrange(0x2000, 0x2800)))) for _ in range(length)
            )
            yield "".join(draw.choice(r"\{}^_()[]!$&%#~+-*/=<>0123456789abcxyz ") for _ in range(length))


def _macros() -> Iterator[str]:
    doubling = "".join(rf"\def\{chr(97 + i)}{{\{chr(98 + i)}\{chr(98 + i)}}}" for i in range(20))
    yield from (
        doubling + r"\a",
        r"\def\a{\b\b}\def\b{\c\c}\def\c{9^9}\a",
        r"\newcommand{\a}[1]{#1#1#1}\a{\a{\a{\a{9}}}}",
    )
    yield from (
        r"\let\a=\b\a",
        r"\renewcommand{\a}{\a\a}\a",
        r"\loop\iftrue\repeat",
        r"\def\a{\a\a}\a",
        r"\csname a\endcsname",
    )
    yield from (r"\input{/etc/passwd}", r"\include{/dev/zero}", r"\write18{touch x}", r"\openout1=x", r"\catcode`\^=13")
    yield from (
        r"\expandafter\a\a",
        r"\DeclareMathOperator{\a}{9}",
        r"\usepackage{a}",
        r"\special{a}",
        r"\immediate\write18{a}",
    )


def _code() -> Iterator[str]:
    for code in (
        "__import__('os').system('touch {trace}')",
        "open('{trace}','w')",
        'exec(\'open("{trace}","w")\')',
        "().__class__.__base__.__subclasses__()",
        "lambda:0",
        "globals()",
        "print(1)",
        "[x for x in range(10**9)]",
    ):
        yield from (
            code,
            rf"\text{{{code}}}",
            rf"\operatorname{{{code}}}",
            rf"\mathrm{{{code}}}(1)",
            f"1+{code}",
            f"x_{{{code}}}",
        )
    yield from (
        "{reference}",
        "{0.__class__}",
        "%s%s%n",
        "${jndi:ldap://a}",
        "'; DROP TABLE verdicts;--",
        "<script>1</script>",
    )
