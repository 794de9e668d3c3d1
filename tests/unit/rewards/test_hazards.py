from __future__ import annotations

import time

import pytest

from rewards.hazards import disguise, hazard

BOMBS = [
    "9^{9^{9^9}}", "10^{10^{10}}", "9**9**9**9", "9^9^9", "2^{10^9}", "2^{1000000000}", "2^{-99999}", "2^{ 10^{9} }+1",
    "((99^{99})^{99})^{999}", "{{{9^{99}}^{99}}^{99}}^{99}", "10000000!", "100000007!", "(10^7)!", "5!!", "((3!)!)!",
    r"\binom{1000000000}{500000000}", r"\dbinom{100000}{5}", r"{10000000 \choose 3}", r"\sum_{k=1}^{10^9} k^k",
    r"\prod_{k} k", r"\int_0^1 x", r"\iint x", r"\lim_{n} n", r"\log(2^{2^{2^{2^2}}})", r"\sin(10^{10^8})",
    r"7^{10^{12}} \mod 1000", "1" * 101, "(" * 13 + ")" * 13, r"\frac{" * 400, r"\sqrt{" * 300, "x" * 1001,
    "+".join("1" * 600), "a\x00b", "^" * 900, "9^(9^9)", r"e^{e^{100^{100}}}9^{9^9}", "2^{1e9}", "2**1e9", "1e99999",
    "2^{1,000,000}", "2^{10 000 000}", r"2^{10\,000\,000}", "2^{99!}", "(x+y+z+w)^{900}", "(x+y)^{99}(x-y)^{999}",
    r"\Gamma(100000)", r"\operatorname{eye}(9999)", r"\operatorname{zeros}(9999,9999)", r"\sqrt" * 14 + "2", "3!!!",
    r"\begin{vmatrix}" + "1&" * 40 + r"\end{vmatrix}", r"\begin{pmatrix}" + r"1\\" * 200 + r"\end{pmatrix}",
    r"\def\a{\b\b}\def\b{\c\c}\a", r"\newcommand{\x}[1]{#1#1}\x{\x{\x{9}}}", r"\let\a\b", r"\input{/etc/passwd}",
    r"\csname a\endcsname", r"\catcode`a=13", r"\loop a\repeat", r"\write18{true}", "\ud800", "5\u202e", "x\x85",
    "4\u20662\u2069", "".join(chr(0xE0000 + ord(c)) for c in "42"), ",".join("1" * 300), "(" + "1+" * 250 + "1)",
]  # fmt: skip
FINE = [
    "5", r"\frac{1}{2}", r"e^{x^2}", "x^{2}+3x+1", "2^{10}", "10^{-19}", "3!", "(n+1)", r"\binom{10}{3}", r"2^{2024}",
    r"\frac{\sqrt{1+\sqrt{5}}}{2}", "x^5+x^4+x^3+x^2+x", "(x+1)^3(x-2)^4", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
    r"\left(-\infty, 3\right]", r"e^{2\pi i}", "x^{n+1}", "9^{", "", "^", r"\log_2 3", "(n+1)!", "(2n)!",
    "(x+1)^{2024}",
    r"\frac{(2n)!}{n!\,n!}", "1.6e-19", r"\Gamma(n+1)", "(x-1)^2(x+2)^3(x^2+x+1)^4", "(5!)^2", "(k-1)!", "1,234,567",
    r"\pm\sqrt{\frac{\sqrt{\pi}}{2}}", "2^{n}!", r"\sin^2\theta+\cos^2\theta", r"\left(\frac{1}{2}\right)^{10}",
    r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", "x^{100}+y^{100}", "6.02e23", "5\u200b",
]  # fmt: skip


@pytest.mark.parametrize("answer", BOMBS)
def test_bombs_are_known_by_their_looks(answer: str) -> None:
    began = time.perf_counter()
    assert hazard(answer, "5").startswith("refused: ")
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("answer", FINE)
def test_answers_of_real_problems_pass(answer: str) -> None:
    assert hazard(answer, "5") == ""


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (r"\sum_{k=1}^{99999} k", r"\sum_{k=1}^{n} k"), (r"\prod_{k=1}^{9!} k", r"\prod_k k"), (r"\int" * 5, r"\int x"),
        (r"\sum_{k=1}^{10^3} k", r"\sum_k k"), (r"\lim" * 4, r"\lim x"),
    ],
)  # fmt: skip
def test_even_where_the_reference_is_unevaluated_there_is_a_measure(answer: str, reference: str) -> None:
    assert hazard(answer, reference).startswith("refused: ")


@pytest.mark.parametrize("text", ["(" * 1000, "^" * 1000, "!" * 1000, ")!" * 500, ("x" * 9 + ")^") * 90, r"\a" * 333])
def test_the_look_itself_costs_little(text: str) -> None:
    began = time.process_time()
    hazard(text, "5")
    assert time.process_time() - began < 0.2


def test_honest_characters_are_no_disguise() -> None:
    for text in ("42", "π ≈ 3.14", "四十二", "é", "5\n", "½", "\u200b5"):
        assert disguise(text) == ""
    for text in ("5\x00", "\u202e21", "\ud800", "7\U000e0034"):
        assert disguise(text).startswith("refused: ")


def test_an_integral_may_answer_a_question_whose_answer_is_one() -> None:
    assert hazard(r"\int_0^1 f(x)\,dx", r"\int_0^1 f(t)\,dt") == ""
