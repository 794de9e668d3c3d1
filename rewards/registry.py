"""Rewards that people write: a decorated function of a sample, loaded by file or module, its parameters set.

from halyard import Sample, reward

@reward
def short(sample: Sample, limit: int = 200) -> float:
    return float(sample.response_tokens <= limit)
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from configs.faults import nearest
from halyard.errors import ConfigError, RewardError
from rewards.adapters import foreign
from rewards.parameters import checked, settable, takes_any

if TYPE_CHECKING:
    from configs.rewards import Signature

Function = TypeVar("Function", bound=Callable[..., Any])
Form = Literal["single", "batch", "group"]
_MARK = "__halyard_reward__"


@dataclass(frozen=True, slots=True)
class Mark:
    """What the decorator was told: what the function takes, and where and for how long it may run."""

    form: Form = "single"
    inline: bool = False
    seconds: str = ""


@overload
def reward(function: Function, /) -> Function: ...
@overload
def reward(
    *, batch: bool = False, group: bool = False, inline: bool = False, seconds: str = ""
) -> Callable[[Function], Function]: ...
def reward(
    function: Callable[..., Any] | None = None,
    /,
    *,
    batch: bool = False,
    group: bool = False,
    inline: bool = False,
    seconds: str = "",
) -> Any:
    """The function itself, marked as a reward.

    It takes one `Sample`, then parameters that a recipe may set by name, and returns a number or a `Verdict`
    (or, with `async def`, will do so). With `batch=True` it takes a list of samples, whichever there are, and
    returns a list with one number or verdict for each; with `group=True` that list is all the samples of one
    prompt. What it raises fails the verdict; it never counts as 0.

    `inline=True` runs it where the samples are instead of in a process with a deadline: only for what takes
    microseconds, whatever the text. `seconds` names the parameter that says how long one verdict takes at most,
    for what limits its own time and is slower than rules usually are.

    Raises:
        RewardError: the function takes no sample, or is to be two things at once.
    """
    if function is None:
        if batch and group:
            raise RewardError("a reward is called with batch=True or with group=True, not both: a group is a batch")
        mark = Mark("group" if group else "batch" if batch else "single", inline, seconds)
        return partial(_marked, mark=mark)
    return _marked(function, Mark())


def _marked(function: Function, mark: Mark) -> Function:
    named = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    if not named:
        raise RewardError(f"the reward {function.__qualname__} takes nothing, expected a Sample as its first argument")
    if mark.inline and inspect.iscoroutinefunction(function):
        raise RewardError(f"the reward {function.__qualname__} is async def: it runs where the samples are anyway")
    if mark.seconds and mark.seconds not in inspect.signature(function).parameters:
        raise RewardError(f"the reward {function.__qualname__} has no parameter {mark.seconds} that says its seconds")
    setattr(function, _MARK, mark)
    return function


def mark_of(function: object) -> Mark | None:
    """What `@reward` was told of a function; None for one without it."""
    return getattr(function, _MARK, None)


@dataclass(frozen=True, slots=True)
class LoadedReward:
    """A reward with its parameters set: call it with a sample, or a list of samples if `form` is not single."""

    name: str
    function: Callable[..., Any]
    mark: Mark = Mark()

    @property
    def is_async(self) -> bool:
        """Whether the function is `async def`."""
        return inspect.iscoroutinefunction(self.function)

    @property
    def seconds(self) -> float | None:
        """How long one verdict takes at most, where a parameter of the reward says so."""
        if not self.mark.seconds:
            return None
        return inspect.signature(self.function).parameters[self.mark.seconds].default


def load(
    path: str,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    root: Path = Path(),
    signature: Signature | None = None,
) -> LoadedReward:
    """The reward `name` of a file (one that ends in .py, relative to `root`) or of a module, ready to be called.

    A function that is not decorated has the signature of another trainer: the named one, or the one that its
    parameters tell.

    Raises:
        ConfigError: there is no such file, module, reward or parameter, or a parameter's value is wrong.
        RewardError: the file cannot be run.
    """
    module, given, where = load_module(path, root), dict(parameters or {}), f"{path}: {name}"
    function = getattr(module, name, None)
    mark = mark_of(function)
    if mark is not None and signature is None:
        assert callable(function)
        return LoadedReward(name, partial(function, **checked(function, settable(function), given, where)), mark)
    other = foreign(function, signature)
    if other is None or not callable(function):
        raise ConfigError(f"{path}: the reward {name} {_missing(function, name, rewards_in(module))}")
    if wanting := other.wanting(function):
        raise ConfigError(f"{where}: asks for {' and '.join(wanting)}, which only its own trainer has")
    own = other.settable(function, given)
    free = {key: given.pop(key) for key in list(given) if takes_any(function) and key not in {one.name for one in own}}
    values = {**free, **checked(function, own, given, where)}
    return LoadedReward(name, other.adapted(function, values), Mark(other.form))


def _missing(function: object, name: str, rewards: list[str]) -> str:
    found = "is not there"
    if callable(function):
        found = "is not decorated with @reward, and has not the signature of TRL, verl, verifiers or EasyR1"
    there = f"it has {', '.join(rewards)}{nearest(name, rewards)}" if rewards else "there is no reward in it"
    return f"{found}: {there}"


def rewards_in(module: ModuleType) -> list[str]:
    """Names of the rewards in a module, in its order; those with another trainer's signature, if none is decorated."""
    marked = [key for key, value in vars(module).items() if mark_of(value)]
    own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    return marked or [key for key in own if foreign(getattr(module, key))]


def load_module(path: str, root: Path = Path()) -> ModuleType:
    """The module of a file, relative to `root`, or an importable one.

    Raises:
        ConfigError: it is not there.
        RewardError: it cannot be run.
    """
    return _from_file((root / path).resolve()) if path.endswith(".py") else _from_module(path)


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
    except (Exception, SystemExit) as error:
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
    except (Exception, SystemExit) as error:
        raise RewardError(f"{name}: cannot be imported: {type(error).__name__}: {error}") from error
