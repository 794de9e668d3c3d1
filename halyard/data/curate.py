"""What the data-making stages keep: pure functions over rows and judged answers, each with its report.

`passes` maps the id of a row to whether each judged sample of it was right; a sample whose verdict failed is
not in the list, for it says nothing about the policy.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from halyard.data.types import Message, Prompt, Row

Passes = Mapping[str, Sequence[bool]]
DIRECT = "kept: direct"
HARVESTED = "kept: harvested"


@dataclass(frozen=True, slots=True)
class Curation:
    """What became of everything that was looked at: an outcome (kept, or why dropped) by family.

    >>> report = Curation()
    >>> report.count("dropped: always right", "sum")
    >>> report.to_record()
    {'dropped: always right': {'all': 1, 'sum': 1}}
    """

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self, outcome: str, family: str, number: int = 1) -> None:
        """Add to an outcome."""
        self.outcomes.setdefault(outcome, Counter())[family] += number

    @property
    def kept(self) -> int:
        """Rows written."""
        return sum(by.total() for outcome, by in self.outcomes.items() if outcome.startswith("kept"))

    @property
    def dropped(self) -> int:
        """Rows and answers looked at and left out."""
        return sum(by.total() for outcome, by in self.outcomes.items() if outcome.startswith("dropped"))

    def to_record(self) -> dict[str, Any]:
        """JSON-able: each outcome with its count in all and by family, the commonest first."""
        ordered = sorted(self.outcomes.items(), key=lambda item: -item[1].total())
        return {outcome: {"all": by.total(), **dict(sorted(by.items()))} for outcome, by in ordered}


def keep_sometimes(rows: Iterable[Row], passes: Passes) -> tuple[list[Row], Curation]:
    """Rows that the policy solves sometimes: neither always nor never. For tasks with reasoning.

    The share of right samples goes into the row's metadata as `pass_rate`.
    Source: SAIL-VL2 (arXiv 2509.14033), the pass@4 filter before reinforcement learning.
    """
    return _keep(rows, passes, {1.0: "dropped: always right", 0.0: "dropped: never right"})


def keep_not_always(rows: Iterable[Row], passes: Passes) -> tuple[list[Row], Curation]:
    """Rows that the policy does not always solve: the same filter, for tasks without reasoning."""
    return _keep(rows, passes, {1.0: "dropped: always right"})


def _keep(rows: Iterable[Row], passes: Passes, dropped: Mapping[float, str]) -> tuple[list[Row], Curation]:
    """Rows whose pass rate is known and has no entry in `dropped`."""
    kept, report = [], Curation()
    for row in rows:
        rate = pass_rate(passes.get(row.id, ()))
        outcome = "dropped: not judged" if rate is None else dropped.get(rate, "kept")
        if rate is not None and outcome == "kept":
            kept.append(_with_rate(row, rate))
        report.count(outcome, row.family)
    return kept, report


def hard_cases(
    rows: Iterable[Row],
    passes: Passes,
    general: Sequence[Row],
    *,
    max_pass_rate: float,
    keep_never_solved: bool = False,
) -> tuple[list[Row], Curation]:
    """Rows that the policy solves in at most this share of its samples, and as many general ones, by turns.

    Source: SAIL-VL2 (arXiv 2509.14033), the data of mixed-reward reinforcement learning.
    """
    hard, report = [], Curation()
    for row in rows:
        rate = pass_rate(passes.get(row.id, ()))
        if rate is None:
            outcome = "dropped: not judged"
        elif rate > max_pass_rate:
            outcome = "dropped: too easy"
        elif rate == 0 and not keep_never_solved:
            outcome = "dropped: never right"
        else:
            outcome = "kept: hard"
            hard.append(_with_rate(row, rate))
        report.count(outcome, row.family)
    beside = general[: len(hard)]
    for i, row in enumerate(general):
        report.count("kept: general" if i < len(hard) else "dropped: more general than hard", row.family)
    kept = [row for pair in zip(hard, beside, strict=False) for row in pair] + hard[len(beside) :]
    return kept, report


def pass_rate(right: Sequence[bool]) -> float | None:
    """Share of right samples; None where none was judged."""
    return sum(right) / len(right) if right else None


def _with_rate(row: Row, rate: float) -> Row:
    return replace(row, metadata={**row.metadata, "pass_rate": rate})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A rollout in thinking mode that may become training data: its two parts, and what was found of it.

    `reasoning` is what stands between the thinking tags, `text` what follows them, as the policy wrote it.
    """

    prompt: Prompt
    reasoning: str
    text: str
    right: bool
    well_formed: bool


def harvest(
    candidates: Iterable[Candidate],
    direct: Sequence[Row],
    *,
    rows: int,
    thinking_share: float,
    per_prompt: int = 2,
    seed: int,
) -> tuple[list[Row], Curation]:
    """Think-Fusion's data: the policy's own right reasoning beside direct answers, shuffled together.

    Rejection sampling takes right, well-formed and distinct rollouts, at most `per_prompt` of a prompt, in equal
    parts over the families as far as they go. If too few are found, the direct rows shrink with them, so that the
    share holds. Source: SAIL-VL2 (arXiv 2509.14033), Think-Fusion SFT: 10% reasoning, 90% direct.
    """
    report, random = Curation(), Random(f"harvest {seed}")
    wanted = round(rows * thinking_share)
    sound = _sound(candidates, per_prompt, report)
    taken = _balanced(sound, wanted, random)
    harvested = [_reasoned_row(candidate, number) for number, candidate in enumerate(taken)]
    for family, by_family in _by_family(sound).items():
        kept = sum(candidate.prompt.family == family for candidate in taken)
        report.count(HARVESTED, family, kept)
        report.count("dropped: enough of the family", family, len(by_family) - kept)
    plain = _distinct(direct)
    most = rows - wanted if len(harvested) == wanted else round(len(harvested) * (1 - thinking_share) / thinking_share)
    for i, row in enumerate(plain):
        report.count(DIRECT if i < most else "dropped: enough direct", row.family)
    kept = harvested + plain[:most]
    random.shuffle(kept)
    return kept, report


def _sound(candidates: Iterable[Candidate], per_prompt: int, report: Curation) -> list[Candidate]:
    """Candidates that are right, well formed, and neither repeated nor too many of one prompt."""
    seen: dict[str, set[str]] = defaultdict(set)
    sound = []
    for candidate in candidates:
        found = seen[candidate.prompt.id]
        if not candidate.well_formed or not candidate.reasoning.strip():
            outcome = "dropped: not well formed"
        elif not candidate.right:
            outcome = "dropped: not right"
        elif candidate.reasoning in found:
            outcome = "dropped: same reasoning again"
        elif len(found) == per_prompt:
            outcome = "dropped: enough of the prompt"
        else:
            found.add(candidate.reasoning)
            sound.append(candidate)
            continue
        report.count(outcome, candidate.prompt.family)
    return sound


def _by_family(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    families: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        families[candidate.prompt.family].append(candidate)
    return families


def _balanced(candidates: Sequence[Candidate], count: int, random: Random) -> list[Candidate]:
    """At most `count` candidates, from each family in turn until it has no more."""
    piles = [random.sample(pile, len(pile)) for _, pile in sorted(_by_family(candidates).items())]
    taken: list[Candidate] = []
    while len(taken) < count and any(piles):
        taken += [pile.pop() for pile in piles if pile][: count - len(taken)]
    return taken


def _reasoned_row(candidate: Candidate, number: int) -> Row:
    prompt = candidate.prompt
    turn = Message(role="assistant", text=candidate.text, reasoning=candidate.reasoning)
    return Row(
        id=f"{prompt.id}-harvest-{number}",
        messages=(*prompt.messages, turn),
        answer=prompt.answer,
        task=prompt.task,
        family=prompt.family,
        source=prompt.source,
        metadata=prompt.metadata,
    )


def _distinct(rows: Iterable[Row]) -> list[Row]:
    return list({row.id: row for row in rows}.values())
