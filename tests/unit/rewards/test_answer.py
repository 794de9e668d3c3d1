"""Right and wrong answers as a careful person would mark them; nothing here needs algebra."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.answer import Question, quick
from rewards.answers.numerals import number as read_number
from rewards.normal import formula, plain, tidy


def marked(answer: str, reference: str, task: Any = "math") -> float | None:
    judgement = quick(rf"so it is \boxed{{{answer}}}.", reference, task)
    assert not isinstance(judgement, Question), "this was to be decided without algebra"
    return judgement.score


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("5", "5"), (" 5 ", "5"), ("5.", "5"), ("5.0", "5"), ("+5", "5"), ("005", "5"), ("１２", "12"), ("−3", "-3"),
        ("1,234", "1234"), ("1{,}234", "1234"), (r"1\,234", "1234"), ("10 000", "10000"), ("1234.50", "1,234.5"),
        (r"\frac{3}{4}", "0.75"), (r"\frac34", "3/4"), (r"\dfrac{3}{4}", r"\frac{6}{8}"), (r"-\frac{3}{4}", "-.75"),
        (r"1\frac{1}{2}", "1.5"), ("1.5", "3/2"), (r"\frac{-1}{2}", "-0.5"),
        ("1.6e-19", r"1.6 \times 10^{-19}"), (r"3\cdot10^8", "300000000"), ("10^{-3}", "0.001"), ("1E3", "1000"),
        (r"50\%", "50"), (r"50\%", "0.5"), ("0.5", r"50\%"), (r"30^\circ", "30"), ("30°", r"30^{\circ}"),
        ("x = 5", "5"), ("$5$", "5"), (r"\$5", "5"), (r"5\text{ cm}", "5"), ("5\u200b", "5"),
        (r"\text{B}", "B"), ("(B)", "B"), (r"\text{yes}", "Yes"), ("Increasing", "increasing"),
        (r"\left(1, 2\right)", "(1, 2)"), (r"\{1, 2\}", r"\{1,2\}".replace(",", ", ")), (r"x \le 3", r"x\leq 3"),
        ("5", r"\boxed{5}"), ("5", "$5$"),
    ],
)  # fmt: skip
def test_right_answers_in_other_words(answer: str, reference: str) -> None:
    assert marked(answer, reference) == 1


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("6", "5"), ("-5", "5"), ("50", "5"), ("5.1", "5"), ("12345", "1234"), ("0.333333", "1/3"), ("0.33", "1/3"),
        ("1.6e-19", "1.7e-19"), ("6.63e-34", "1.0e-40"), (r"1.6\times10^{-19}", r"1.6\times10^{-18}"),
        (r"\frac{4}{3}", "3/4"), (r"5\%", "5000"), ("A", "B"), ("(A)", "B"), ("listen", "silent"), ("no", "yes"),
        ("3.1416", "3.14159"), ("41=42", "42"), ("x=41=42", "42"), (r"\int_0^1 x\,dx", "1/2"), (r"\sum k", "55"),
        (r"\lim_{n} 1", "1"), ("9^{9^{9}}", "3"), ("", "5"), ("(" * 30 + ")" * 30, "5"), ("5\x00", "5"),
    ],
)  # fmt: skip
def test_wrong_answers(answer: str, reference: str) -> None:
    assert marked(answer, reference) == 0


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("12 m/s", "12 m/s", 1),
        ("12", "12 m/s", 1),
        (r"12\ \mathrm{m/s}", "12 m/s", 1),
        ("12.0 m / s", "12 m/s", 1),
        ("3 g/cm^3", "3 g/cm3", 1),
        (r"3\,\text{g/cm}^{3}", "3 g/cm3", 1),
        ("3 g/cm³", "3 g/cm3", 1),
        ("2400 ml", "2400 ml", 1),
        (r"4700\,\Omega", "4700 Ω", 1),
        ("12 km/h", "12 m/s", 0),
        ("13 m/s", "12 m/s", 0),
        ("12 m/s7", "12 m/s", 0),
        ("5 mW", "5 MW", 0),
        ("-12 m/s", "12 m/s", 0),
    ],
)
def test_figures_with_units(answer: str, reference: str, score: float) -> None:
    assert marked(answer, reference, "stem") == score


def test_what_points_cannot_tell_is_asked() -> None:
    for answer, reference in (("5x", "5"), ("5ab", "5"), ("|x|", "x"), ("f(x)+1", "1+f(x)")):
        assert isinstance(quick(rf"\boxed{{{answer}}}", reference, "math"), Question)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("We get 4 and then\n5.", "no \\boxed{}"),
        (r"\boxed{5", "no \\boxed{}"),
        (r"\boxed{}", "the box is empty"),
        (r"either \boxed{4} or \boxed{5}", "2 different boxes: 4, 5"),
        (r"\boxed{1}\boxed{2}\boxed{3}\boxed{4}\boxed{5}", "5 different boxes: 1, 2, 3, 4, 5"),
    ],
)
def test_what_is_no_commitment_is_wrong(text: str, reason: str) -> None:
    assert quick(text, "5", "math") == (0.0, reason, {})


def test_the_same_box_twice_is_one_answer() -> None:
    judgement = quick(r"\boxed{0.5}, so \boxed{1/2}", "1/2", "math")
    assert isinstance(judgement, tuple)
    assert judgement[0] == 1


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("Red", "red", 1), ("  two red\ncircles. ", "two red circles", 1), (r"\boxed{red}", "red", 1),
        ("red!", "red", 1), ("don't", "dont", 1), ("blue", "red", 0), ("", "red", 0), ("the red", "red", 0),
        ("3.5", "35", 0), ("-5", "5", 0), ("5", "5", 1), ("5.", "5", 1), ("two-thirds", "two thirds", 1),
        ("ＲＥＤ", "red", 1), ("?", "!", 0), ("!", "!", 1),
        ("one red circle above two blue squares", "one red circle", 0),
        (r"\boxed{red}\boxed{blue}", "red", 0),
    ],
)  # fmt: skip
def test_text_answers(answer: str, reference: str, score: float) -> None:
    judgement = quick(answer, reference, "exact")
    assert not isinstance(judgement, Question)
    assert judgement.score == score


@pytest.mark.parametrize(("reference", "task"), [(None, "math"), ("", "math"), (" ", "exact"), ("5", "open")])
def test_what_cannot_be_compared_has_no_score(reference: str | None, task: Any) -> None:
    judgement = quick(r"\boxed{5}", reference, task)
    assert not isinstance(judgement, Question)
    assert judgement.score is None


@settings(deadline=None)
@given(st.integers(-(10**30), 10**30), st.integers(1, 10**6))
def test_fractions_are_exact(top: int, bottom: int) -> None:
    sign = "-" if top < 0 else ""
    for text in (f"{top}/{bottom}", rf"{sign}\frac{{{abs(top)}}}{{{bottom}}}"):
        assert read_number(formula(tidy(text))) == Fraction(top, bottom)


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_decimals_are_exact(number: Any) -> None:
    assert read_number(formula(tidy(f"{number:,}"))) == Fraction(number)


@settings(deadline=None)  # the first unit loads pint
@given(st.text(max_size=200), st.text(min_size=1, max_size=30))
def test_any_text_is_judged_or_asked_about(answer: str, reference: str) -> None:
    for task in ("math", "stem", "exact"):
        found = quick(rf"\boxed{{{answer}}}", reference, task)
        assert isinstance(found, Question) or found.score in (0, 1, None)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S", "Z")), max_size=60))
def test_normal_forms_are_stable(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert tidy(tidy(text)) == tidy(text) or text.count(".") + text.count("$") + text.count("\\") > 1
