"""What the workbench's commands do: put rewards on the desk, judge, take them off again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rewards.workbench import comparison, labels, probe, replay
from rewards.workbench.cases import Case
from rewards.workbench.comparison import Comparison
from rewards.workbench.desk import desk
from rewards.workbench.labels import Scored
from rewards.workbench.probe import Probed
from rewards.workbench.questions import QUESTIONS, Question
from rewards.workbench.replay import Replay


async def score_cases(
    name: str,
    cases: Sequence[Case],
    parameters: Mapping[str, Any] | None = None,
    *,
    judge: str | None = None,
    threshold: float = labels.THRESHOLD,
) -> tuple[list[Scored], float]:
    """The cases with their verdicts, and the seconds that judging took.

    Raises:
        ConfigError: there is no such reward, or a parameter is wrong.
        RewardError: its file cannot be run, or a recipe's rewards judge no such task.
    """
    async with desk(name, parameters, judge=judge) as live:
        verdicts = await live.score([case.sample for case in cases])
        return labels.compare(cases, verdicts, threshold), live.seconds


async def compare_rewards(
    names: tuple[str, str],
    cases: Sequence[Case],
    *,
    judge: str | None = None,
    threshold: float = labels.THRESHOLD,
) -> Comparison:
    """The cases under both rewards.

    Raises:
        ConfigError: there is no such reward.
        RewardError: a file cannot be run, or a recipe's rewards judge no such task.
    """
    first, _ = await score_cases(names[0], cases, judge=judge, threshold=threshold)
    second, _ = await score_cases(names[1], cases, judge=judge, threshold=threshold)
    return comparison.compare(first, second)


async def probe_reward(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    questions: Sequence[Question] = QUESTIONS,
    judge: str | None = None,
) -> tuple[Probed, float]:
    """What became of every attack on a reward, and the seconds that judging took.

    Raises:
        ConfigError: there is no such reward, or the probe could learn nothing of it.
        RewardError: its file cannot be run.
    """
    async with desk(name, parameters, judge=judge) as live:
        return await probe.probe(live, questions), live.seconds


async def replay_run(
    stage: Path,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    steps: int | None = None,
    judge: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Replay, float]:
    """A stage's rollouts under a reward, and the seconds that judging took.

    Raises:
        ConfigError: there is no such reward, or there are no rollouts.
        RewardError: its file cannot be run, or a recipe's rewards judge no such task.
    """
    async with desk(name, parameters, judge=judge) as live:
        return await replay.replay(live, stage, steps, progress), live.seconds
