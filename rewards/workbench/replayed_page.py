"""What a replay found: as a page for people, as plain values for programs."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import Any

from rewards.workbench.page import Curve, Figure, Page, Row, Table
from rewards.workbench.replay import GroupChange, Replay, Replayed, judged_twice
from rewards.workbench.scored_page import speed, verdict_values

EXAMPLES = 200
"""Changed rollouts that are listed, those that changed most."""
LONG = frozenset({"response", "reason now"})
ROLLOUT = ("step", "prompt", "response", "reference", "reward then", "now", "reason now")
GROUP = ("step", "prompt", "rollouts", "pairs turned", "pairs split", "pairs levelled")


def replay_page(name: str, run: str, found: Replay, seconds: float) -> Page:
    """Agreement, shift, signal and turned rankings; reward by step; what changed most."""
    tables = []
    if turned := found.turned:
        rows = [_group(group) for group in turned[:EXAMPLES]]
        tables.append(Table(title="Groups whose ranking turns", columns=GROUP, rows=rows))
    if changed := found.changed:
        rows = [_rollout(one) for one in changed[:EXAMPLES]]
        remark = f"{len(rows)} of {len(changed)}, those that changed most"
        title = "Rollouts judged otherwise"
        tables.append(Table(title=title, columns=ROLLOUT, rows=rows, long=LONG, remark=remark))
    return Page(
        title=f"{name}  on {run}",
        subtitle=f"{found.stage}: {len(found.rollouts)} rollouts in {len(found.groups)} groups",
        figures=[*_rewards(found), *_groups(found), speed(seconds, len(found.rollouts))],
        tables=tables,
        curves=_curves(found),
    )


def _rewards(found: Replay) -> list[Figure]:
    then, now = found.means
    failed_then, failed_now = found.failed
    return [
        Figure(name="same reward", value=f"{found.agreement:.1%}", remark="of the rollouts"),
        Figure(name="mean reward", value=f"{_number(then)} → {_number(now)}", remark=f"shift {found.shift:+.4f}"),
        Figure(
            name="failed verdicts",
            value=f"{failed_then} → {failed_now}",
            tone="bad" if failed_now > failed_then else "plain",
        ),
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _groups(found: Replay) -> list[Figure]:
    signals = [group.signal for group in found.groups]
    then, now = (fmean(signal[side] for signal in signals) for side in (0, 1))
    return [
        Figure(name="groups with signal", value=f"{then:.1%} → {now:.1%}", remark="rewards are not all equal"),
        Figure(
            name="groups whose ranking turns",
            value=f"{len(found.turned)} of {len(signals)}",
            remark="a better rollout becomes the worse one",
            tone="warn" if found.turned else "plain",
        ),
        Figure(
            name="pushed the other way",
            value=f"{found.pushed_otherwise:.1%}",
            remark="of the rollouts, by their group's mean",
        ),
    ]


def _curves(found: Replay) -> list[Curve]:
    """Mean reward by step, then and now; none for a single step."""
    by_step: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for group in found.groups:
        if both := judged_twice(group.rollouts):
            by_step[group.step] += both
    if len(by_step) < 2:
        return []
    steps = sorted(by_step)
    series = {
        name: [fmean(pair[side] for pair in by_step[step]) for step in steps]
        for side, name in enumerate(("then", "now"))
    }
    return [Curve(title="Mean reward by step", axis="step", points=steps, series=series)]


def _group(group: GroupChange) -> Row:
    return Row((group.step, group.prompt_id, len(group.rollouts), group.turned, group.split, group.levelled))


def _rollout(one: Replayed) -> Row:
    record, verdict = one.record, one.verdict
    cells = (
        record.step,
        record.prompt_id,
        record.text,
        record.reference,
        record.reward,
        verdict.reward,
        verdict.reason,
    )
    return Row(cells, "bad" if verdict.reward is None else "plain")


def replay_values(name: str, run: str, found: Replay, seconds: float) -> dict[str, Any]:
    """The same for programs."""
    signals = [group.signal for group in found.groups]
    return {
        "reward": name,
        "run": run,
        "stage": found.stage,
        "rollouts": len(found.rollouts),
        "groups": len(found.groups),
        "seconds": seconds,
        "agreement": found.agreement,
        "mean_reward": found.means,
        "shift": found.shift,
        "failed": found.failed,
        "groups_with_signal": [sum(signal[side] for signal in signals) for side in (0, 1)],
        "groups_turned": len(found.turned),
        "pushed_otherwise": found.pushed_otherwise,
        "changed": [
            {
                "step": one.record.step,
                "prompt_id": one.record.prompt_id,
                "index": one.record.index,
                "response": one.record.text,
                "reward_then": one.record.reward,
                **verdict_values(one.verdict),
            }
            for one in found.changed
        ],
    }
