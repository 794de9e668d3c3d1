"""Rewards written for other trainers, taken as they are: their arguments made of samples, their returns read.

Source: what TRL (`GRPOTrainer`), verl (`custom_reward_function`, naive and batch managers), verifiers (`Rubric`)
and EasyR1 (`REWARD_TYPE` sequential and batch) document that they call a reward with.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from rewards.failures import failed
from rewards.parameters import nameable, takes_any
from rewards.returned import to_judgement
from rewards.sample import Judgement, Sample
from rewards.structure import last_boxed

if TYPE_CHECKING:
    from configs.rewards import Signature

Batch = Sequence[Sample]


@dataclass(slots=True)
class Log:
    """What a reward of TRL writes down beside its scores: figures of each sample, and of all."""

    columns: dict[str, Sequence[object]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def extra(self, column: str, values: Sequence[object]) -> None:
        """Keep one value for each sample."""
        self.columns[column] = values

    def metric(self, name: str, value: float) -> None:
        """Keep one value for all."""
        self.figures[name] = value

    def of(self, place: int) -> dict[str, object]:
        """Everything that was written down about a sample."""
        return {**{name: values[place] for name, values in self.columns.items()}, **self.figures}


@dataclass(frozen=True, slots=True)
class Foreign:
    """How another trainer calls a reward.

    `names` are the arguments that it makes of a sample. `columns` says that it passes the columns of its data set,
    too: here, the sample's metadata. `by_position` passes the only argument whatever it is called. `score` is the
    key of a returned dictionary that holds the score; its other numbers are recorded.
    """

    form: Literal["single", "batch", "group"]
    names: tuple[str, ...]
    arguments: Callable[[Batch, Log], dict[str, Any]]
    score: str = ""
    columns: bool = False
    by_position: bool = False

    def settable(self, function: Callable[..., Any], given: Mapping[str, Any]) -> list[inspect.Parameter]:
        """The parameters that are the recipe's to set; of those that may be columns, the ones that it does set."""
        named = nameable(function, behind=int(self.by_position))
        return [one for one in named if one.name not in self.names and (one.name in given or not self.columns)]

    def wanting(self, function: Callable[..., Any]) -> list[str]:
        """What a function cannot do without, and only its home has."""
        parameters = inspect.signature(function).parameters.values()
        return [one.name for one in parameters if self.columns and one.name in ELSEWHERE and one.default is one.empty]

    def adapted(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Callable[[Any], Any]:
        """The function as a reward of a sample, or of a list of them; async if it is."""

        def prepared(item: Sample | Batch) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
            samples, log = [item] if isinstance(item, Sample) else item, Log()
            arguments = self.arguments(samples, log)
            if self.by_position:
                call = partial(function, *arguments.values(), **parameters)
            else:
                call = partial(function, **{**_accepted(function, arguments), **parameters})
            return call, partial(self._read, log=log)

        def now(item: Sample | Batch) -> Any:
            call, read = prepared(item)
            return read(call())

        async def later(item: Sample | Batch) -> Any:
            call, read = prepared(item)
            return read(await call())

        return later if inspect.iscoroutinefunction(function) else now

    def _read(self, returned: Any, log: Log) -> Any:
        """What was returned, with dictionaries and logs made judgements; the rest is looked at by the caller."""
        if self.form == "single":
            return self._one(returned, {})
        if isinstance(returned, str | Mapping) or not hasattr(returned, "__iter__"):
            return returned
        return [self._one(one, log.of(place)) for place, one in enumerate(returned)]

    def _one(self, returned: Any, noted: dict[str, object]) -> Any:
        if isinstance(returned, Mapping) and self.score in returned:
            noted = {**{str(key): value for key, value in returned.items() if key != self.score}, **noted}
            returned = returned[self.score]
        if returned is None and self.columns:  # TRL's way to say so
            return failed(
                "bad reference", "it returned None: it cannot judge this; `tasks` of the term can leave it out"
            )
        if not noted:
            return returned
        judgement = to_judgement(returned, "it")
        words = [f"{name}: {value}" for name, value in noted.items() if isinstance(value, str)]
        parts = {name: float(value) for name, value in noted.items() if isinstance(value, int | float)}
        return Judgement(judgement.score, "; ".join([judgement.reason, *words]), parts)


def _accepted(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that the function names, or all of them if it takes any."""
    if takes_any(function):
        return arguments
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in arguments.items() if name in parameters}


def _turns(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def _trl(samples: Batch, log: Log, *, chat: bool) -> dict[str, Any]:
    """The columns of the data set under the names that its own rewards use for them, and those of the metadata."""
    references = [one.reference for one in samples]
    keys = dict.fromkeys(key for one in samples for key in one.metadata)
    return {
        **{key: [one.metadata.get(key) for one in samples] for key in keys},
        "answer": references,
        "solution": references,
        "ground_truth": references,
        "task": [one.task for one in samples],
        "prompts": [_turns("user", one.prompt) if chat else one.prompt for one in samples],
        "completions": [_turns("assistant", one.response) if chat else one.response for one in samples],
        "completion_ids": [list(one.response_token_ids) for one in samples],
        "log_extra": log.extra,
        "log_metric": log.metric,
    }


def _source(sample: Sample) -> Any:
    return sample.metadata.get("data_source") or sample.family or sample.task


def _verl(samples: Batch, log: Log) -> dict[str, Any]:
    return {name.removesuffix("s"): values[0] for name, values in _verl_batch(samples, log).items()}


def _verl_batch(samples: Batch, _: Log) -> dict[str, Any]:
    return {
        "data_sources": [_source(one) for one in samples],
        "solution_strs": [one.response for one in samples],
        "ground_truths": [one.reference for one in samples],
        "extra_infos": [one.metadata.get("extra_info", dict(one.metadata)) for one in samples],
    }


class _Parser:
    """The parser that rewards of verifiers ask for: it finds what this house takes for the answer."""

    def parse(self, text: str) -> str:
        """The text."""
        return text

    def parse_answer(self, completion: str | Sequence[Mapping[str, str]]) -> str:
        """The content of the last box behind the reasoning, or all that stands there."""
        text = completion if isinstance(completion, str) else completion[-1]["content"]
        behind = text.rpartition("</think>")[2].strip()
        return last_boxed(behind) or behind


def _rollout(sample: Sample) -> dict[str, Any]:
    state = {
        "prompt": _turns("user", sample.prompt),
        "completion": _turns("assistant", sample.response),
        "answer": sample.reference or "",
        "info": dict(sample.metadata),
        "task": sample.task,
    }
    return {**state, "state": state, "parser": _Parser()}


def _verifiers(samples: Batch, _: Log) -> dict[str, Any]:
    return _rollout(samples[0])


def _verifiers_group(samples: Batch, _: Log) -> dict[str, Any]:
    each = [_rollout(one) for one in samples]
    lists = {f"{name}s": [one[name] for one in each] for name in _VERIFIERS if name != "parser"}
    return {**lists, "parser": _Parser()}


def _easyr1(samples: Batch, _: Log) -> dict[str, Any]:
    return {"reward_input": _easyr1_batch(samples, _)["reward_inputs"][0]}


def _easyr1_batch(samples: Batch, _: Log) -> dict[str, Any]:
    keys = ("response", "response_length", "ground_truth")
    values = [(one.response, one.response_tokens, one.reference) for one in samples]
    return {"reward_inputs": [dict(zip(keys, value, strict=True)) for value in values]}


ELSEWHERE = ("trainer_state", "environments")
"""What TRL gives a reward of its own trainer, and nobody else can."""
_TRL = ("prompts", "completions", "completion_ids", "log_extra", "log_metric", "answer", "solution", "ground_truth")
_VERL = ("data_source", "solution_str", "ground_truth", "extra_info")
_VERIFIERS = ("prompt", "completion", "answer", "info", "task", "state", "parser")
_PLURAL = (*(f"{name}s" for name in _VERIFIERS[:-1]), "parser")
FOREIGN: dict[str, Foreign] = {
    "trl": Foreign("batch", (*_TRL, "task"), partial(_trl, chat=True), columns=True),
    "trl_text": Foreign("batch", (*_TRL, "task"), partial(_trl, chat=False), columns=True),
    "verl": Foreign("single", _VERL, _verl, score="score"),
    "verl_batch": Foreign("batch", tuple(f"{name}s" for name in _VERL), _verl_batch, score="score"),
    "verifiers": Foreign("single", _VERIFIERS, _verifiers),
    "verifiers_group": Foreign("group", _PLURAL, _verifiers_group),
    "easyr1": Foreign("single", (), _easyr1, score="overall", by_position=True),
    "easyr1_batch": Foreign("batch", (), _easyr1_batch, score="overall", by_position=True),
}
"""How each trainer calls a reward; verifiers and EasyR1 have two ways, told apart by the function."""


def foreign(function: object, signature: Signature | None = None) -> Foreign | None:
    """How a function wants to be called: as the named trainer does, or the one whose names it uses; or None."""
    if not inspect.isfunction(function):
        return None
    names = list(inspect.signature(function).parameters)
    known = signature or _recognised(names)
    if known == "verifiers" and set(names) & set(_PLURAL[:-1]):
        known = "verifiers_group"
    if known == "easyr1" and function.__globals__.get("REWARD_TYPE", "batch") == "batch" and names[0] != "reward_input":
        known = "easyr1_batch"
    return FOREIGN[known] if known else None


def _recognised(names: Sequence[str]) -> Signature | None:
    if names and names[0] in ("reward_input", "reward_inputs"):
        return "easyr1"
    if "solution_str" in names:
        return "verl"
    if "solution_strs" in names:
        return "verl_batch"
    if "completions" in names and not {"answers", "states", "infos", "tasks"} & set(names):
        return "trl"
    return "verifiers" if {"completion", "completions", "state", "states"} & set(names) else None
