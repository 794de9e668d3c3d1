from __future__ import annotations

import time

import pytest

from rewards.hazards import hazard

BOMBS = [
    "9^{9^{9^9}}", "10^{10^{10}}", "9**9**9**9", "9^9^9", "2^{10^9}", "2^{1000000000}", "2^{-99999}", "2^{ 10^{9} }+1",
    "((99^{99})^{99})^{999}", "{{{9^{99}}^{99}}^{99}}^{99}", "10000000!", "100000007!", "(10^7)!", "5!!", "((3!)!)!",
    r"\binom{1000000000}{500000000}", r"\dbinom{100000}{5}", r"{10000000 \choose 3}", r"\sum_{k=1}^{10^9} k^k",
    r"\prod_{k} k", r"\int_0^1 x", r"\iint x", r"\lim_{n} n", r"\log(2^{2^{2^{2^2}}})", r"\sin(10^{10^8})",
    r"7^{10^{12}} \mod 1000", "1" * 101, "(" * 13 + ")" * 13, r"\frac{" * 400, r"\sqrt{" * 300, "x" * 1001,
    "+".join("1" * 600), "a\x00b", "^" * 900, "9^(9^9)", r"e^{e^{100^{100}}}9^{9^9}",
]  # fmt: skip
FINE = [
    "5", r"\frac{1}{2}", r"e^{x^2}", "x^{2}+3x+1", "2^{10}", "10^{-19}", "3!", "(n+1)", r"\binom{10}{3}", r"2^{2024}",
    r"\frac{\sqrt{1+\sqrt{5}}}{2}", "x^5+x^4+x^3+x^2+x", "(x+1)^3(x-2)^4", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
    r"\left(-\infty, 3\right]", r"e^{2\pi i}", "x^{n+1}", "9^{", "", "^", r"\log_2 3",
]  # fmt: skip


@pytest.mark.parametrize("answer", BOMBS)
def test_bombs_are_known_by_their_looks(answer: str) -> None:
    began = time.perf_counter()
    assert hazard(answer, "5").startswith("refused: ")
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("answer", FINE)
def test_answers_of_real_problems_pass(answer: str) -> None:
    assert hazard(answer, "5") == ""


def test_an_integral_may_answer_a_question_whose_answer_is_one() -> None:
    assert hazard(r"\int_0^1 f(x)\,dx", r"\int_0^1 f(t)\,dt") == ""
