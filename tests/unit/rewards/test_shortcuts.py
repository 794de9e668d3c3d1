"""The usual cases are told from the others by a quick look: it must never change what comes out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards import hazards, normal
from rewards.answers import references
from rewards.answers.measured import Measured
from rewards.hazards import hazard
from rewards.normal import spaced, tidy

NEVER = re.compile("(?!)")
PIECES = [
    "<", "=", "-", ">", "\\leftrightarrow", "\\dfrac", "\\frac{1}{2}", "{", "}", "\\degree", "^\\circ", "^{ \\circ }",
    "\\hat{i}", "\\vec j", "\\overrightarrow{k}", "{,}", "\\%", "**", "\\leq", "\\geqslant", "!", "\\neq", "\\lt",
    "\\gt", "\\O", "\\varnothing", "\\longrightarrow", "\\rightarrow", "\\div", "sqrt", "(3)", "sin", " x", "arc", "ln",
    "log2", "exp", "√", "∛8", "pi", "½", "\\max", "\\{1,2\\}", "C_{5}^{2}", "C_n^k", "~", "\\text{ kg}", "\\,",
    "\\left(", " ", "5", "1,234", "π", "\\text{a\\text{b}c}",
]  # fmt: skip
UNITS = [
    "", "g", "kg", "mg", "m", "km", "cm", "mm", "nm", "s", "ms", "min", "J", "kJ", "MJ", "W", "kW", "V", "kV", "A",
    "mA", "Pa", "kPa", "MPa", "N", "kN", "Hz", "kHz", "mol", "K", "L", "mL", "eV", "m/s", "%",
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


@given(texts)
def test_a_pattern_finds_nothing_without_the_parts_it_needs(text: str) -> None:
    for parts, pattern, _ in normal._SPELLINGS:
        assert any(part in text for part in parts) or not pattern.search(text)


@given(texts)
def test_spellings_are_the_same_when_all_patterns_are_tried(text: str) -> None:
    quick = spaced.__wrapped__(tidy(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normal, "_SPELLINGS", [(("",), pattern, spelling) for _, pattern, spelling in normal._SPELLINGS])
        assert spaced.__wrapped__(tidy(text)) == quick


@given(st.from_regex(hazards._HARMLESS, fullmatch=True))
def test_what_looks_harmless_is_harmless(answer: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hazards, "_HARMLESS", NEVER)
        assert hazard(answer, "5") == ""


@pytest.mark.parametrize("unit", UNITS)
@settings(max_examples=15, deadline=None)  # the first unit loads pint
@given(
    figure=st.from_regex(r"-?[0-9]{1,6}(\.[0-9]{1,4}|/[1-9][0-9]{0,2})?", fullmatch=True),
    task=st.sampled_from(["math", "stem"]),
)
def test_usual_references_are_read_as_if_they_were_not(unit: str, figure: str, task: Any) -> None:
    text = f"{figure} {unit}".strip()
    assert references._USUAL.fullmatch(text)
    usual = references.reference.__wrapped__(text, task)
    assert isinstance(usual, Measured)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(references, "_USUAL", NEVER)
        assert references.reference.__wrapped__(text, task) == usual
