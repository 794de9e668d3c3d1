"""Rewards called: in a pool's process, here and now, or in the caller's event loop; what they raise is a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewards.failures import failed
from rewards.registry import LoadedReward, load
from rewards.returned import to_judgement, to_judgements
from rewards.sample import Judgement, Sample

if TYPE_CHECKING:
    from configs.rewards import Signature


def judge_with(
    path: str, name: str, parameters: Mapping[str, Any], root: str, signature: Signature | None = None
) -> Callable[[Any], Any]:
    """What a pool's process runs for a reward that is not `async def`: of one sample, or of a list of them."""
    loaded = load(path, name, parameters, root=Path(root), signature=signature)

    def judge(item: Sample | Sequence[Sample]) -> Judgement | list[Judgement]:
        if isinstance(item, Sample):
            return to_judgement(loaded.function(item), name)
        return to_judgements(loaded.function(item), name, len(item))

    return judge


def safely(loaded: LoadedReward, samples: Sequence[Sample]) -> list[Judgement]:
    """What a function says of samples, called here and now; of one, if it takes only one."""
    try:
        return _read(loaded, loaded.function(_item(loaded, samples)), samples)
    except Exception as error:
        return [_raised(loaded, error)] * len(samples)


async def awaited(loaded: LoadedReward, samples: Sequence[Sample], seconds: float) -> list[Judgement]:
    """What an `async def` reward says of samples, or of one, in the caller's event loop."""
    try:
        returned = await asyncio.wait_for(loaded.function(_item(loaded, samples)), seconds)
        return _read(loaded, returned, samples)
    except TimeoutError:
        return [failed("timeout", f"{loaded.name} took longer than its {seconds:g} s")] * len(samples)
    except Exception as error:
        return [_raised(loaded, error)] * len(samples)


def _item(loaded: LoadedReward, samples: Sequence[Sample]) -> Sample | list[Sample]:
    return samples[0] if loaded.mark.form == "single" else list(samples)


def _read(loaded: LoadedReward, returned: object, samples: Sequence[Sample]) -> list[Judgement]:
    if loaded.mark.form == "single":
        return [to_judgement(returned, loaded.name)]
    return to_judgements(returned, loaded.name, len(samples))


def _raised(loaded: LoadedReward, error: Exception) -> Judgement:
    return failed("raised", f"{loaded.name}: {type(error).__name__}: {error}")
