"""A finished run's rollouts judged again by a changed reward: what would have been paid, and learnt, otherwise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from halyard.data.types import Verdict
from halyard.errors import ConfigError
from halyard.runs.rollouts import RolloutRecord, files, read
from rewards.sample import Sample
from rewards.structure import split
from rewards.workbench.desk import Desk
from rewards.workbench.labels import EXACT, gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A rollout of the run with its verdict of then, in the record, and of now."""

    record: RolloutRecord
    verdict: Verdict

    @property
    def agrees(self) -> bool:
        """Whether the reward is the same; two failures agree."""
        return self.gap <= EXACT

    @property
    def gap(self) -> float:
        """By how much the reward changed; infinitely much when one verdict failed and the other did not."""
        return gap(self.record.reward, self.verdict.reward)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """One group of rollouts under both rewards, over those that both could judge.

    `turned` counts the pairs of which the better one of then is the worse one now, `split` those that were equal and
    are not, `levelled` those that were not and are.
    """

    step: int
    prompt_id: str
    rollouts: tuple[Replayed, ...]
    turned: int
    split: int
    levelled: int

    @property
    def signal(self) -> tuple[bool, bool]:
        """Whether rewards differed then, and whether they differ now: equal ones teach nothing."""
        then = [one.record.reward for one in self.rollouts]
        now = [one.verdict.reward for one in self.rollouts]
        return _differ(then), _differ(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A stage's rollouts, judged twice."""

    stage: str
    rollouts: tuple[Replayed, ...]
    groups: tuple[GroupChange, ...]

    @property
    def agreement(self) -> float:
        """Share of the rollouts with the same reward."""
        return fmean(one.agrees for one in self.rollouts)

    @property
    def means(self) -> tuple[float | None, float | None]:
        """Mean reward then and now, each over the rollouts that were judged; None without any."""
        then = [one.record.reward for one in self.rollouts if one.record.reward is not None]
        now = [one.verdict.reward for one in self.rollouts if one.verdict.reward is not None]
        return fmean(then) if then else None, fmean(now) if now else None

    @property
    def shift(self) -> float:
        """Mean change of the reward of the rollouts that were judged both times; 0 without any."""
        both = judged_twice(self.rollouts)
        return fmean(now - then for then, now in both) if both else 0.0

    @property
    def failed(self) -> tuple[int, int]:
        """Failed verdicts then and now."""
        return (
            sum(one.record.reward is None for one in self.rollouts),
            sum(one.verdict.reward is None for one in self.rollouts),
        )

    @property
    def changed(self) -> list[Replayed]:
        """The rollouts that are judged otherwise, those that changed most first; failures before all."""
        return sorted((one for one in self.rollouts if not one.agrees), key=lambda one: -one.gap)

    @property
    def turned(self) -> list[GroupChange]:
        """The groups whose ranking turns, those with the most turned pairs first."""
        return sorted((group for group in self.groups if group.turned), key=lambda group: -group.turned)

    @property
    def pushed_otherwise(self) -> float:
        """Share of rollouts above their group's mean reward then and below it now, or the other way."""
        signs = [pair for group in self.groups for pair in _signs(group)]
        return fmean(then * now < 0 for then, now in signs) if signs else 0.0


def _differ(rewards: Sequence[float | None]) -> bool:
    known = [reward for reward in rewards if reward is not None]
    return bool(known) and max(known) - min(known) > EXACT


def _signs(group: GroupChange) -> Iterator[tuple[int, int]]:
    """By rollout: above (1), at (0) or below (-1) the group's mean, then and now."""
    both = judged_twice(group.rollouts)
    if both:
        mean_then, mean_now = fmean(then for then, _ in both), fmean(now for _, now in both)
        yield from ((_sign(then - mean_then), _sign(now - mean_now)) for then, now in both)


def _sign(difference: float) -> int:
    return 0 if abs(difference) <= EXACT else 1 if difference > 0 else -1


def judged_twice(rollouts: Sequence[Replayed]) -> list[tuple[float, float]]:
    """Reward then and now of the rollouts that were judged both times."""
    return [
        (one.record.reward, one.verdict.reward)
        for one in rollouts
        if one.record.reward is not None and one.verdict.reward is not None
    ]


def rl_stage(run: Path, name: str | None) -> Path:
    """The folder of a run's stage with rollouts: that of this name, or the last one.

    Raises:
        ConfigError: there is none; the message lists those that are there.
    """
    found = {path.parent.name.partition("-")[2]: path.parent for path in sorted(run.glob("stages/*/rollouts"))}
    if not found:
        raise ConfigError(f"the run {run} has no rollouts: only stages of type rl leave them")
    if name is None:
        return list(found.values())[-1]
    if name not in found:
        raise ConfigError(f"the run {run} has no rollouts of a stage {name}; it has those of {', '.join(found)}")
    return found[name]


def read_steps(stage: Path, steps: int | None = None) -> Iterator[list[list[RolloutRecord]]]:
    """The rollouts of a stage, step after step, in groups; of `steps` steps, evenly spread over the stage, or of all.

    Raises:
        ConfigError: there are none.
    """
    there = files(stage)
    if not there:
        raise ConfigError(f"{stage} has no rollouts yet")
    if steps is not None and steps < len(there):
        there = [there[round(i * (len(there) - 1) / max(1, steps - 1))] for i in range(steps)]
    for file in there:
        groups: dict[int, list[RolloutRecord]] = defaultdict(list)
        for record in read(file):
            groups[record.occurrence].append(record)
        yield list(groups.values())


async def replay(
    desk: Desk, stage: Path, steps: int | None = None, progress: Callable[[int], None] | None = None
) -> Replay:
    """A stage's rollouts with what the reward at the desk says of them; `progress` is told how many are judged."""
    replayed: list[Replayed] = []
    groups: list[GroupChange] = []
    for step in read_steps(stage, steps):
        verdicts = iter(await desk.score([to_sample(record) for records in step for record in records]))
        for records in step:
            now = [Replayed(record=record, verdict=next(verdicts)) for record in records]
            replayed += now
            groups.append(_change(now))
        if progress:
            progress(len(replayed))
    return Replay(stage=stage.name, rollouts=tuple(replayed), groups=tuple(groups))


def to_sample(record: RolloutRecord) -> Sample:
    """What a reward sees of a rollout that was kept: what it saw in the run."""
    parts = split(record.text, record.thinking)
    return Sample(
        prompt=record.question,
        response=record.text,
        reasoning=parts.reasoning,
        answer=parts.answer,
        reference=record.reference,
        task=record.task,  # type: ignore[arg-type] - what was written was one
        family=record.family,
        thinking=record.thinking,
        finish_reason=record.finish_reason,  # type: ignore[arg-type]
        prompt_tokens=len(record.prompt_token_ids),
        response_tokens=len(record.response_token_ids),
        response_token_ids=record.response_token_ids,
        images=tuple(record.images),
        prompt_id=record.prompt_id,
        group_id=str(record.occurrence),
        metadata=record.metadata,
    )


def _change(rollouts: Sequence[Replayed]) -> GroupChange:
    both = judged_twice(rollouts)
    signs = [
        (_sign(both[i][0] - both[j][0]), _sign(both[i][1] - both[j][1])) for i in range(len(both)) for j in range(i)
    ]
    return GroupChange(
        step=rollouts[0].record.step,
        prompt_id=rollouts[0].record.prompt_id,
        rollouts=tuple(rollouts),
        turned=sum(then * now < 0 for then, now in signs),
        split=sum(then == 0 != now for then, now in signs),
        levelled=sum(now == 0 != then for then, now in signs),
    )
