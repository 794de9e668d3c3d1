"""Rewards that researchers write: a decorated function of one sample, loaded by file, its parameters checked.

from halyard import Sample, reward

@reward
def short(sample: Sample, limit: int = 200) -> float:
    return float(sample.response_tokens <= limit)
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
import inspect
import json
import math
import sys
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError, create_model

from configs.faults import EXPECTED, literal, nearest
from halyard.data.types import Verdict
from halyard.errors import ConfigError, RewardError
from rewards.sample import Judgement, Sample, brief

__all__ = ["LoadedReward", "Sample", "judge_async", "judge_with", "load", "reward"]

Function = TypeVar("Function", bound=Callable[..., Any])
_MARK = "__halyard_reward__"


def reward(function: Function) -> Function:
    """The function itself, marked as a reward.

    It takes one `Sample`, then parameters that a recipe may set by name, and returns a number or a `Verdict`
    (or, with `async def`, will do so). What it raises fails the verdict; it never counts as 0.

    Raises:
        RewardError: the function takes no sample.
    """
    named = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    if not named:
        raise RewardError(f"the reward {function.__qualname__} takes nothing, expected a Sample as its first argument")
    setattr(function, _MARK, True)
    return function


@dataclass(frozen=True, slots=True)
class LoadedReward:
    """A reward with its parameters set: call it with a sample."""

    name: str
    function: Callable[[Sample], Any]

    @property
    def is_async(self) -> bool:
        """Whether the function is `async def`."""
        return inspect.iscoroutinefunction(self.function)


def load(path: str, name: str, parameters: Mapping[str, Any] | None = None, *, root: Path = Path()) -> LoadedReward:
    """The reward `name` of a file (one that ends in .py, relative to `root`) or of a module, ready to be called.

    Raises:
        ConfigError: there is no such file, module, reward or parameter, or a parameter's value is wrong.
        RewardError: the file cannot be run.
    """
    module = _from_file((root / path).resolve()) if path.endswith(".py") else _from_module(path)
    function = getattr(module, name, None)
    if not getattr(function, _MARK, False):
        rewards = [key for key, value in vars(module).items() if getattr(value, _MARK, False)]
        found = "is not decorated with @reward" if callable(function) else "is not there"
        there = f"it has {', '.join(rewards)}{nearest(name, rewards)}" if rewards else "no function in it is @reward"
        raise ConfigError(f"{path}: the reward {name} {found}: {there}")
    assert callable(function)
    return LoadedReward(name, partial(function, **_checked(function, parameters or {}, f"{path}: {name}")))


def _from_file(file: Path) -> ModuleType:
    """The file's module under a name of its own, so that it can hide no other module."""
    if not file.is_file():
        raise ConfigError(f"{file}: there is no such file, expected Python with a function decorated with @reward")
    name = f"halyard_reward_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise RewardError(f"{file}: cannot be run as Python: {type(error).__name__}: {error}") from error
    return module


def _from_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and name.startswith(error.name):
            raise ConfigError(f"{name}: there is no such module; a file is named with its ending, .py") from error
        raise RewardError(f"{name}: cannot be imported: {error}") from error
    except Exception as error:
        raise RewardError(f"{name}: cannot be imported: {type(error).__name__}: {error}") from error


def _checked(function: Callable[..., Any], parameters: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The parameters as the function's signature types them.

    Raises:
        ConfigError: one is unknown, missing or of another type.
    """
    _, *settable = inspect.signature(function).parameters.values()
    settable = [p for p in settable if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    types = _types(function, [parameter.name for parameter in settable], where)
    fields: dict[str, Any] = {
        p.name: (types.get(p.name, Any), ... if p.default is p.empty else p.default) for p in settable
    }
    model = create_model(where, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **fields)
    try:
        checked = model.model_validate_json(json.dumps(dict(parameters)), strict=True)
    except ValidationError as error:
        raise ConfigError(_complaint(error, where, list(fields))) from error
    return {name: getattr(checked, name) for name in parameters}


def _types(function: Callable[..., Any], names: list[str], where: str) -> dict[str, Any]:
    annotations = {name: value for name, value in function.__annotations__.items() if name in names}
    try:
        return typing.get_type_hints(SimpleNamespace(__annotations__=annotations), globalns=function.__globals__)
    except NameError as error:
        raise RewardError(f"{where}: the type of a parameter cannot be found: {error}") from error


def _complaint(error: ValidationError, where: str, names: list[str]) -> str:
    first = error.errors()[0]
    parameter = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = f"; it takes {', '.join(names)}" if names else "; it takes none"
        return f"{where}: has no parameter {parameter}{nearest(parameter, names) or known}"
    if first["type"] == "missing":
        return f"{where}: its parameter {parameter} is missing and has no default"
    expected = EXPECTED.get(first["type"], first["msg"]).format(**first.get("ctx", {}))
    return f"{where}: its parameter {parameter} is {literal(first['input'])}, expected {expected}"


def to_judgement(returned: object, name: str) -> Judgement:
    """What a function returned, as a judgement; a failed one for what is no finite number and no verdict."""
    if isinstance(returned, Verdict):
        return Judgement(returned.reward, returned.reason or f"{name} gave a verdict", returned.components)
    if isinstance(returned, str) or not hasattr(returned, "__float__"):
        said = "None" if returned is None else f"{type(returned).__name__} {brief(repr(returned))}"
        return Judgement(None, f"{name} returned no number: {said}")
    number = float(typing.cast(typing.SupportsFloat, returned))
    if not math.isfinite(number):
        return Judgement(None, f"{name} returned no finite number: {number}")
    return Judgement(number, f"{number:g}")


def judge_with(path: str, name: str, parameters: Mapping[str, Any], root: str) -> Callable[[Sample], Judgement]:
    """What a pool's process runs for a reward that is not `async def`."""
    loaded = load(path, name, parameters, root=Path(root))

    def judge(sample: Sample) -> Judgement:
        return to_judgement(loaded.function(sample), name)

    return judge


async def judge_async(loaded: LoadedReward, sample: Sample, seconds: float) -> Judgement:
    """The judgement of an `async def` reward, which runs in the caller's event loop."""
    waiting: Awaitable[Any] = loaded.function(sample)
    try:
        returned = await asyncio.wait_for(waiting, seconds)
    except TimeoutError:
        return Judgement(None, f"{loaded.name} took longer than its {seconds:g} s")
    except Exception as error:
        return Judgement(None, f"{loaded.name} raised {type(error).__name__}: {error}")
    return to_judgement(returned, loaded.name)
