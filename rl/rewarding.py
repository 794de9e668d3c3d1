"""What the rewards of a step were: by component, by task, and how judging failed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

from rl.advantages import all_equal

if TYPE_CHECKING:
    from halyard.data.types import Group, Verdict


def reward_figures(groups: Sequence[Group]) -> dict[str, Any]:
    """Means over the judged answers; accuracy and format are the terms of those names, where there are any.

    `rewards` has mean, standard deviation and number of the reward and of each component, over all and for each
    task; `failures` counts the terms that could not judge, by "TERM: KIND".
    """
    verdicts = [verdict for group in groups for verdict in group.verdicts]
    judged = [verdict for verdict in verdicts if verdict.reward is not None]
    whole = statistics(verdicts)
    components = {name: figures["mean"] for name, figures in whole.items() if name != "reward"}
    by_task: defaultdict[str, list[Verdict]] = defaultdict(list)
    for group in groups:
        by_task[group.prompt.task] += group.verdicts
    return {
        "reward": fmean(verdict.reward for verdict in judged if verdict.reward is not None),
        "accuracy": components.get("answer"),
        "format": components.get("format"),
        "components": components,
        "rewards": {"all": whole, **{task: statistics(its) for task, its in sorted(by_task.items())}},
        "verdicts": len(verdicts),
        "verdicts_failed": len(verdicts) - len(judged),
        "failures": failures(verdicts),
        **signal(groups),
    }


def statistics(verdicts: Sequence[Verdict]) -> dict[str, dict[str, float]]:
    """Mean, standard deviation and number of the rewards ("reward") and of each component, of what was judged."""
    values: defaultdict[str, list[float]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.reward is not None:
            values["reward"].append(verdict.reward)
            for name, value in verdict.components.items():
                values[name].append(value)
    return {name: {"mean": fmean(its), "std": pstdev(its), "count": len(its)} for name, its in sorted(values.items())}


def failures(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """How often which term could not judge, by "TERM: KIND", the most frequent first."""
    found = Counter(
        f"{name}: {reason.partition(':')[0]}" for verdict in verdicts for name, reason in verdict.failures.items()
    )
    return dict(found.most_common())


def signal(groups: Sequence[Group]) -> dict[str, Any]:
    """Groups whose judged rewards are all equal, as a number and as a share of those with any."""
    judged = [rewards for group in groups if (rewards := [one for one in group.rewards if one is not None])]
    silent = sum(map(all_equal, judged))
    return {"groups_without_signal": silent, "share_without_signal": silent / len(judged) if judged else None}
