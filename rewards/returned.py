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
        return Judgement(returned.reward, returned.reason or f"{name} gave a verdict", returned.components)
    if isinstance(returned, str) or not hasattr(returned, "__float__"):
        said = "None" if returned is None else f"{type(returned).__name__} {brief(repr(returned))}"
        return failed("bad value", f"{name} returned no number: {said}")
    number = float(typing.cast(typing.SupportsFloat, returned))
    if not math.isfinite(number):
        return failed("bad value", f"{name} returned no finite number: {number}")
    return Judgement(number, f"{number:g}")


def to_judgements(returned: object, name: str, count: int) -> list[Judgement]:
    """What a function of several samples returned: one judgement for each, failed ones if there are not so many."""
    if isinstance(returned, str | Mapping) or not isinstance(returned, typing.Iterable):
        fault = f"{name} returned no list: {type(returned).__name__} {brief(repr(returned))}"
        return [failed("bad value", fault)] * count
    several = list(returned)
    if len(several) != count:
        return [failed("bad value", f"{name} returned a list of another length: {len(several)} for {count}")] * count
    return [to_judgement(one, name) for one in several]
