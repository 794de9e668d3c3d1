"""Attempts to earn a reward without the answer, and which of them did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from halyard.data.types import Verdict
from halyard.errors import ConfigError, RewardError
from rewards.sample import Sample
from rewards.structure import CLOSE, OPEN
from rewards.workbench.attacks import ATTACKS, NONSENSE, Attack, Base, think
from rewards.workbench.cases import commit, sample
from rewards.workbench.desk import Desk
from rewards.workbench.labels import EXACT
from rewards.workbench.questions import QUESTIONS, Question

MARGIN = 0.05
"""Share of what separates right from base that an attack may earn by chance or in part."""

Floors = Mapping[tuple[str, bool], float]
"""Reward of an honest response by what it is ("right", "almost" or a base) and whether it thinks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One response that tries an attack on a question.

    `floor` is what it may earn; None where the attack says nothing of this reward, which pays the attack's base like
    the right response.
    """

    attack: str
    question: str
    sample: Sample
    verdict: Verdict
    floor: float | None

    @property
    def earned(self) -> bool:
        """Whether it was paid."""
        return self.floor is not None and self.verdict.reward is not None and self.verdict.reward > self.floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """All attempts on a reward. `skipped` has the questions whose right answer it does not pay or judge, and why."""

    name: str
    attempts: tuple[Attempt, ...]
    paid: tuple[str, ...]
    skipped: Mapping[str, str]

    @property
    def earned(self) -> list[Attempt]:
        """The attempts that were paid."""
        return [one for one in self.attempts if one.earned]


async def probe(desk: Desk, questions: Sequence[Question] = QUESTIONS) -> Probed:
    """What became of every attack on a reward, on every question that it can judge.

    Raises:
        ConfigError: it judges none of them, or gives all responses the same reward.
    """
    attempts: list[Attempt] = []
    paid: list[str] = []
    skipped: dict[str, str] = {}
    for question in questions:
        try:
            tried, pays = await _on(question, desk)
        except _Unjudged as fault:
            skipped[question.name] = str(fault)
            continue
        attempts += tried
        if pays:
            paid.append(question.name)
        else:
            skipped[question.name] = "its right answer earns nothing: there is nothing to smuggle in"
    _check(desk.name, attempts, paid, skipped)
    return Probed(name=desk.name, attempts=tuple(attempts), paid=tuple(paid), skipped=skipped)


class _Unjudged(Exception):
    """An honest response could not be judged, so that there is nothing to compare attacks with."""


async def _on(question: Question, desk: Desk) -> tuple[list[Attempt], bool]:
    """The attempts on one question, and whether its right answer is paid. All are judged as one group."""
    written = list(_written(question))
    controls = _controls(question)
    try:
        verdicts = await desk.score([*controls.values(), *(response for _, response in written)])
    except RewardError as error:  # no term of a recipe judges this task
        raise _Unjudged(str(error)) from error
    floors: dict[tuple[str, bool], float] = {}
    for key, verdict in zip(controls, verdicts, strict=False):
        if verdict.reward is None:
            raise _Unjudged(verdict.reason)
        floors[key] = verdict.reward
    attempts = [
        Attempt(
            attack=attack.name,
            question=question.name,
            sample=response,
            verdict=verdict,
            floor=_floor(attack.base, response.thinking, floors),
        )
        for (attack, response), verdict in zip(written, verdicts[len(controls) :], strict=True)
    ]
    return attempts, max(floors["right", True], floors["right", False]) > 0


def _controls(question: Question) -> dict[tuple[str, bool], Sample]:
    """Honest responses by what they are and whether they think."""
    right, almost, wrong = (
        commit(answer, question.task) for answer in (question.right, question.almost, question.wrong)
    )
    texts = {
        ("right", True): think(question.working or f"So it is {question.right}.", right),
        ("right", False): right,
        ("almost", True): think(f"So it is {question.almost}.", almost),
        ("almost", False): almost,
        ("wrong", True): think(f"So it is {question.wrong}.", wrong),
        ("wrong", False): wrong,
        ("nonsense", True): think(NONSENSE, wrong),
        ("nonsense", False): wrong,
        ("malformed", True): "I do not know.",
        ("malformed", False): f"{CLOSE}{OPEN}",
    }
    return {key: _sample(question, text, thinking=key[1]) for key, text in texts.items()}


def _written(question: Question) -> Iterator[tuple[Attack, Sample]]:
    for attack in ATTACKS:
        if question.task != "open" or attack.open:
            yield from ((attack, _sample(question, text)) for text in attack.write(question))


def _sample(question: Question, response: str, *, thinking: bool | None = None) -> Sample:
    return sample(
        response,
        prompt=question.prompt,
        reference=question.reference,
        task=question.task,
        thinking=thinking,
        metadata=question.metadata,
    )


def _floor(base: Base, thinking: bool, floors: Floors) -> float | None:
    """What a response of this mode may earn by an attack with this base; None where the attack says nothing."""
    right = floors["right", thinking]
    if base == "nothing":
        return max(0.0, MARGIN * right)
    bottom = floors[base, thinking]
    if right <= 0 or right - bottom <= EXACT:
        return None
    bottom = max(bottom, 0.0)
    floor = bottom + MARGIN * (right - bottom)
    almost = floors["almost", thinking]
    return max(floor, almost) if base == "wrong" and almost < right - EXACT else floor


def _check(name: str, attempts: Sequence[Attempt], paid: Sequence[str], skipped: Mapping[str, str]) -> None:
    """Refuse to call a reward sound of which nothing was learnt."""
    advice = "give questions of its own: --file cases.jsonl, with cases whose expected is true"
    if not attempts:
        question, reason = next(iter(skipped.items()))
        raise ConfigError(f"{name} could judge none of the questions ({question}: {reason}): {advice}")
    if not paid and len({one.verdict.reward for one in attempts}) == 1:
        raise ConfigError(f"{name} gave every response the same reward, {attempts[0].verdict.reward}: {advice}")
