"""Rewards called: what a function returned becomes judgements, and so does what it raised."""

from __future__ import annotations

import asyncio
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from halyard.data.types import Verdict
from rewards.failures import failed
from rewards.registry import LoadedReward, load
from rewards.sample import Judgement, Sample, brief


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


def judge_with(path: str, name: str, parameters: Mapping[str, Any], root: str) -> Callable[..., Any]:
    """What a pool's process runs for a reward that is not `async def`: of one sample, or of a list of them."""
    loaded = load(path, name, parameters, root=Path(root))

    def judge(sample: Sample) -> Judgement:
        return to_judgement(loaded.function(sample), name)

    def judge_all(samples: Sequence[Sample]) -> list[Judgement]:
        return to_judgements(loaded.function(samples), name, len(samples))

    return judge if loaded.mark.form == "single" else judge_all


async def judge_async(loaded: LoadedReward, item: Any, seconds: float) -> object:
    """What an `async def` reward returned of a sample or a list, in the caller's event loop; or a failed judgement."""
    try:
        return await asyncio.wait_for(loaded.function(item), seconds)
    except TimeoutError:
        return failed("timeout", f"{loaded.name} took longer than its {seconds:g} s")
    except Exception as error:
        return failed("raised", f"{loaded.name}: {type(error).__name__}: {error}")
