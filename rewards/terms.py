"""The terms of a recipe made live: the tree that a recipe describes, with what judges at its leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configs.judge import JudgeTerm
from configs.rewards import (
    AnswerTerm,
    ClipTerm,
    FormatTerm,
    GateTerm,
    MinTerm,
    OverlongTerm,
    ProductTerm,
    PythonTerm,
    RewardsConfig,
    RewardTerm,
    RouteTerm,
    SailMixedTerm,
    SumTerm,
    Term,
    below,
)
from configs.rewards import Leaf as LeafTerm
from halyard.tasks import Task
from rewards import functions
from rewards.compose import Clip, Gate, Min, Product, Route, Sum
from rewards.grader import Answered, Grader
from rewards.judges.court import Court
from rewards.nodes import Judging, Leaf, Node
from rewards.sample import Judgement, Sample
from rewards.verifiers.format import form

ANSWER = 1
"""What answers cost, beside the costs of functions."""


def weigh(nodes: Sequence[Node], terms: Sequence[Term], *, paid: bool = True) -> None:
    """Nothing; live terms have the weights of `terms`, which are otherwise those that they were made of."""
    for node, term in zip(nodes, terms, strict=True):
        node.term, node.paid = term, paid and term.weight > 0
        inner = term.composition().terms if isinstance(term, SailMixedTerm) else [one for _, one in below(term)]
        weigh(node.parts, inner, paid=node.paid)


@dataclass(frozen=True, slots=True)
class Builder:
    """What live terms are made with."""

    config: RewardsConfig
    grader: Grader
    court: Court
    root: Path
    names: Counter[str] = field(default_factory=Counter)
    made: list[Judging] = field(default_factory=list)
    """What has processes and connections by now, also when a later term turns out to be wrong."""

    def tree(self) -> Sum:
        """The whole reward: a sum of the recipe's terms, each below it with a name of its own.

        Raises:
            ConfigError: a function or its parameters are wrong, or there is no judge to ask.
            RewardError: a function's file cannot be run.
        """
        whole = SumTerm(terms=self.config.terms, scaled=self.config.scaled)
        return Sum(name="", term=whole, parts=self._all(whole.terms, paid=True), scaled=whole.scaled)

    def _all(self, terms: Sequence[Term], *, paid: bool) -> list[Node]:
        return [self._node(term, paid=paid and term.weight > 0) for term in terms]

    def _node(self, term: Term, *, paid: bool) -> Node:
        name = self._name(term)
        common: dict[str, Any] = {"name": name, "term": term, "paid": paid}
        match term:
            case SumTerm():
                return Sum(**common, parts=self._all(term.terms, paid=paid), scaled=term.scaled)
            case ProductTerm():
                return Product(**common, parts=self._all(term.terms, paid=paid))
            case MinTerm():
                return Min(**common, parts=self._all(term.terms, paid=paid))
            case RouteTerm():
                return Route(**common, parts=self._all(term.terms, paid=paid))
            case GateTerm():
                parts = self._all((term.when, term.then), paid=paid)
                return Gate(**common, parts=parts, at_least=term.at_least, otherwise=term.otherwise)
            case ClipTerm():
                return Clip(**common, parts=self._all((term.of,), paid=paid), low=term.low, high=term.high)
            case SailMixedTerm():
                whole = term.composition()
                return Sum(**common, parts=self._all(whole.terms, paid=paid), scaled=whole.scaled)
        self.made.append(self._judging(term))
        return Leaf(**common, judging=self.made[-1])

    def _name(self, term: Term) -> str:
        """The term's label or what judges; the second of a name is numbered."""
        name = term.label or term.component
        self.names[name] += 1
        return name if self.names[name] == 1 else f"{name}-{self.names[name]}"

    def _judging(self, term: LeafTerm) -> Judging:
        match term:
            case AnswerTerm():
                self.grader.start()
                return AnswerJudging(self.grader)
            case FormatTerm():
                return FormatJudging()
            case JudgeTerm():
                return self.court.judging(term)
            case OverlongTerm():
                parameters = {"longest": term.longest, "buffer": term.buffer}
                return functions.live(RewardTerm(name="overlong", parameters=parameters), self.config, self.root)
            case RewardTerm() if judge := term.judge():
                return self.court.judging(judge)
            case RewardTerm() | PythonTerm():
                return functions.live(term, self.config, self.root)


class AnswerJudging(Judging):
    """1 if the final answer is right; the grader is the scorer's, which closes it."""

    cost = ANSWER
    whole_groups = False

    def __init__(self, grader: Grader) -> None:
        self._grader = grader

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """The grades of the samples' answers."""
        return await self._grader.grade([Answered(one.answer, one.reference, one.task, one.prompt) for one in samples])


class FormatJudging(Judging):
    """1 if the response has the structure of its mode and task."""

    cost = functions.INLINE
    whole_groups = False

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """What the responses look like."""
        return [judge_format(one.response, one.thinking, one.task) for one in samples]


def judge_format(response: str, thinking: bool, task: Task) -> Judgement:
    """1 for a response with the structure of its mode and task, else 0 and what is wrong with it."""
    return form(response, thinking, task)._replace(parts={})
