"""Rewards as data: named terms with weights, put together, and what happens when a verdict cannot be had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, ValidationError, model_validator

from configs.base import Config, Count, Flag, Positive, Real, Share
from configs.faults import nearest
from configs.judge import JudgeTerm
from configs.rubric import is_shipped
from configs.schema import KeyPath
from configs.term import BaseTerm

Signature = Literal["trl", "trl_text", "verl", "verl_batch", "verifiers", "easyr1"]


class AnswerTerm(BaseTerm):
    """1 if the final answer is right: by mathematics for math and stem, by text for exact."""

    type: Literal["answer"] = "answer"


class FormatTerm(BaseTerm):
    r"""1 if the response has the structure of its mode: `<think>…</think>` and one `\boxed{}`, or no thinking."""

    type: Literal["format"] = "format"


class _FunctionTerm(BaseTerm):
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments that the function is given beside the sample."""
    timeout: Positive | None = None
    """Seconds that a verdict may take; none is `deadline`, or 60 s for an `async def`, which waits for something."""
    signature: Signature | None = None
    """Whose signature the function has, if it is not decorated with `@reward`; none tells by its parameters. trl
    gives conversations, as TRL does for chats; trl_text plain texts."""


class RewardTerm(_FunctionTerm):
    """Any reward by its name: `halyard reward list` shows those that ship and those of installed packages."""

    type: Literal["reward"] = "reward"
    name: str
    """A name, or FILE.py:FUNCTION (the file relative to the recipe's folder), or MODULE:FUNCTION."""

    @property
    def component(self) -> str:
        """The function's name, or the file's."""
        return self.name.rpartition(":")[2] if not self.name.endswith(".py") else PurePath(self.name).stem

    @model_validator(mode="after")
    def _judged(self) -> Self:
        try:
            self.judge()
        except ValidationError as error:
            first = error.errors()[0]
            key, near = ".".join(map(str, first["loc"])), nearest(first["loc"][-1], JudgeTerm.model_fields)
            known = near or f"; known are {', '.join(JudgeTerm.model_fields)}"
            said = f"is none of a judge's{known}" if first["type"] == "extra_forbidden" else f"is wrong: {first['msg']}"
            raise ValueError(f"{self.name} is a rubric, and the parameter {key} {said}") from None
        return self

    def judge(self) -> JudgeTerm | None:
        """The judge's term that this stands for, where its name is a shipped rubric's.

        Raises:
            ValidationError: a parameter is none of a judge's, or wrong.
        """
        if not is_shipped(self.name):
            return None
        common = {key: getattr(self, key) for key in BaseTerm.model_fields}
        timeout = {} if self.timeout is None else {"timeout": self.timeout}
        return JudgeTerm.model_validate({**common, **timeout, **self.parameters, "rubric": self.name})


class PythonTerm(_FunctionTerm):
    """A researcher's function, decorated with `@reward` or with the signature of another trainer's rewards."""

    type: Literal["python"] = "python"
    path: str
    """A Python file, relative to the recipe's folder, or an importable module."""
    name: str
    """The function in it."""

    @property
    def component(self) -> str:
        """The function's name."""
        return self.name


class OverlongTerm(BaseTerm):
    """0 up to `longest - buffer` tokens of response, then falling to -1 at `longest`: a soft limit, after DAPO."""

    type: Literal["overlong"] = "overlong"
    longest: Count
    """Tokens from which on a response pays the whole penalty."""
    buffer: Count
    """Tokens over which the penalty grows."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.buffer > self.longest:
            raise ValueError(f"buffer is {self.buffer}, expected at most longest, which is {self.longest}")
        return self


class _Several(BaseTerm):
    terms: Annotated[tuple[Term, ...], Field(min_length=1)]
    """What is put together."""


class SumTerm(_Several):
    """The terms added up by their weights."""

    type: Literal["sum"] = "sum"
    scaled: Flag = True
    """Scale the weights of the terms that apply to a prompt so that they add up to 1."""


class ProductTerm(_Several):
    """The terms multiplied, cheap ones first: where the product is 0 already, nothing dearer is called."""

    type: Literal["product"] = "product"


class MinTerm(_Several):
    """The least of the terms."""

    type: Literal["min"] = "min"


class RouteTerm(_Several):
    """The first of the terms that judges the prompt's task."""

    type: Literal["route"] = "route"


class GateTerm(BaseTerm):
    """A term that counts only where another one is satisfied; elsewhere it is not called."""

    type: Literal["gate"] = "gate"
    when: Term
    """What opens the gate; where it does not judge the gate is open."""
    at_least: Real = 1.0
    """Score from which on the gate is open."""
    then: Term
    """What counts behind the open gate."""
    otherwise: Real = 0.0
    """Score where the gate is closed."""


class ClipTerm(BaseTerm):
    """A term held between two bounds."""

    type: Literal["clip"] = "clip"
    of: Term
    """What is clipped."""
    low: Real = 0.0
    """The least score."""
    high: Real = 1.0
    """The highest score."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low is {self.low:g}, expected at most high, which is {self.high:g}")
        return self


class SailMixedTerm(BaseTerm):
    """The mixed reward of SAIL-RL: 0.9 · decision · thinking · answer + 0.1 · format (arXiv 2511.02280)."""

    type: Literal["sail_mixed"] = "sail_mixed"
    judge: JudgeTerm = JudgeTerm(rubric="thinking")
    """Who judges the thinking; a prompt that asks for a direct answer has none, which counts as 1."""
    answer_judge: JudgeTerm | None = None
    """Who judges the answers to open questions; without one such an answer counts as 1."""
    think_when: str = ""
    """Key of the metadata that says whether a question needs thinking; none takes the mode that was asked for."""

    def composition(self) -> SumTerm:
        """What the preset stands for."""
        decision = RewardTerm(name="decision", parameters={"think_when": self.think_when})
        thinking = self.judge if self.judge.label else self.judge.model_copy(update={"label": "thinking"})
        parts: tuple[Term, ...] = (decision, AnswerTerm(), thinking)
        if self.answer_judge:
            parts = (*parts, self.answer_judge.model_copy(update={"tasks": ("open",)}))
        return SumTerm(terms=(ProductTerm(weight=0.9, terms=parts, label="mixed"), FormatTerm(weight=0.1)))


Leaf = AnswerTerm | FormatTerm | JudgeTerm | RewardTerm | PythonTerm | OverlongTerm
Composite = SumTerm | ProductTerm | MinTerm | RouteTerm | GateTerm | ClipTerm | SailMixedTerm
Term = Annotated[Leaf | Composite, Field(discriminator="type")]
for _part in get_args(Composite):
    _part.model_rebuild()  # now that there is what its fields name


class RewardsConfig(Config):
    """A sum of terms. Only when all answers of a group were judged is the group used."""

    terms: Annotated[tuple[Term, ...], Field(min_length=1)] = (AnswerTerm(weight=0.9), FormatTerm(weight=0.1))
    """What is judged; the rewards of the terms that apply to a prompt are added up by weight."""
    scaled: Flag = True
    """Scale the weights of the terms that apply to a prompt so that they add up to 1."""
    deadline: Positive = 1.0
    """Seconds that one rule-based verdict may take before its process is killed."""
    memory_gib: Positive = 4.0
    """Memory that a process with a researcher's function may take beyond what it had at its start."""
    workers: Count = 1
    """Processes that judge by rules."""
    on_failure: Literal["drop_rollout", "zero"] = "drop_rollout"
    """A rollout that could not be judged: left out of its group, or paid nothing."""
    max_failure_share: Share = 0.2
    """The run stops when a larger share of a step's verdicts failed."""


def below(term: Term) -> list[tuple[KeyPath, Term]]:
    """The terms that a term puts together, each with its keys from there."""
    match term:
        case SumTerm() | ProductTerm() | MinTerm() | RouteTerm():
            return [(("terms", index), one) for index, one in enumerate(term.terms)]
        case GateTerm():
            return [(("when",), term.when), (("then",), term.then)]
        case ClipTerm():
            return [(("of",), term.of)]
        case SailMixedTerm():
            judges = (("judge", term.judge), ("answer_judge", term.answer_judge))
            return [*(((key,), judge) for key, judge in judges if judge), ((), AnswerTerm()), ((), FormatTerm())]
        case _:
            return []


def all_terms(terms: Iterable[Term], path: KeyPath = ("terms",)) -> Iterator[tuple[KeyPath, Term]]:
    """Every term with its keys, the parts of each after it; a rubric's name stands for a judge's term."""
    for index, term in enumerate(terms):
        yield from _all((*path, index), term)


def _all(path: KeyPath, term: Term) -> Iterator[tuple[KeyPath, Term]]:
    yield path, (isinstance(term, RewardTerm) and term.judge()) or term
    for keys, part in below(term):
        yield from _all((*path, *keys), part)
