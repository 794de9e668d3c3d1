"""What a reward returned, read: a number, a verdict or a list of them becomes judgements; anything else fails."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping

from halyard.data.types import Verdict
from rewards.failures import failed
from rewards.sample import Judgement, brief


def to_judgement(returned: object, name: str) -> Judgement:
    """What a function returned, as a judgement; a failed one for what is no finite number and no verdict."""
    if isinstance(returned, Judgement):
        return returned
    if isinstance(returned, Verdict):
        return _of_verdict(returned, name)
    number = _number(returned)
    if number is None:
        said = "None" if returned is None else f"{type(returned).__name__} {brief(repr(returned))}"
        return failed("bad value", f"{name} returned no number: {said}")
    if not math.isfinite(number):
        return failed("bad value", f"{name} returned no finite number: {number}")
    return Judgement(number, f"{number:g}")


def _number(returned: object) -> float | None:
    """A number of any library as a float; None for what is none, text among it."""
    if isinstance(returned, str | bytes) or not hasattr(returned, "__float__"):
        return None
    try:
        return float(typing.cast(typing.SupportsFloat, returned))
    except (TypeError, ValueError, OverflowError):
        return None


def _of_verdict(verdict: Verdict, name: str) -> Judgement:
    """The verdict as a judgement; a failed one where its figures are none that can be added up and recorded."""
    if verdict.reward is None:
        return failed("undecided", verdict.reason or f"{name} gave a verdict without a reward")
    score, parts = _number(verdict.reward), {str(key): _number(value) for key, value in verdict.components.items()}
    known = {key: number for key, number in parts.items() if number is not None and math.isfinite(number)}
    if score is None or not math.isfinite(score):
        return failed("bad value", f"{name} gave a verdict whose reward is no finite number: {verdict.reward!r}")
    if wrong := next((key for key in parts if key not in known), None):
        said = brief(repr(verdict.components[wrong]))
        return failed("bad value", f"{name} gave a verdict whose {wrong} is no finite number: {said}")
    return Judgement(score, str(verdict.reason) or f"{name} gave a verdict", known)


def to_judgements(returned: object, name: str, count: int) -> list[Judgement]:
    """What a function of several samples returned: one judgement for each, failed ones if there are not so many."""
    if isinstance(returned, str | Mapping) or not isinstance(returned, typing.Iterable):
        fault = f"{name} returned no list: {type(returned).__name__} {brief(repr(returned))}"
        return [failed("bad value", fault)] * count
    several = list(returned)
    if len(several) != count:
        return [failed("bad value", f"{name} returned a list of another length: {len(several)} for {count}")] * count
    return [to_judgement(one, name) for one in several]
