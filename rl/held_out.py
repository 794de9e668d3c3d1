"""Accuracy on held-out problems while a stage trains, and the alarm when only the reward rises."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, linear_regression
from typing import TYPE_CHECKING, Any

from halyard.evals.evaluate import evaluate

if TYPE_CHECKING:
    from configs.stages import BenchmarkConfig, EvaluateConfig, RlStage
    from halyard.data.types import Row
    from halyard.evals.evaluation import Graded
    from rl.live import LiveEngine
    from rl.session import RlSession

SURE = 2.0
"""Standard errors by which the reward's trend must be above 0."""
LEAST_RISE = 0.01
"""Rise of the reward, over all measurements looked at, below which nobody is alarmed."""


async def measure(step: int, stage: RlStage, session: RlSession, engine: LiveEngine) -> dict[str, Any] | None:
    """Right answers among those to the held-out problems, by the weights that are live; None where it is not due.

    The problems and the seeds of their answers are the same each time, so that differences are the policy's. Rules
    alone judge, whatever the stage is rewarded for.
    """
    every = stage.held_out.every
    if not every or step % every or not session.benchmarks.benchmarks:
        return None
    data = {name: _some(rows, stage.held_out.rows) for name, rows in session.held_out.items()}
    graded = await evaluate(
        engine,
        session.renderer,
        _once(session.benchmarks),
        data=data,
        seed=session.seed,
        grade=session.scorer.grade,
    )
    names = dict.fromkeys((one.benchmark, one.mode) for one in graded)
    parts = {
        f"{name}.{mode}": [one for one in graded if (one.benchmark, one.mode) == (name, mode)] for name, mode in names
    }
    return {
        "accuracy": _accuracy(graded),
        "benchmarks": {name: _accuracy(part) for name, part in parts.items()},
        "answers": len(graded),
        "failed": sum(one.right is None for one in graded),
    }


def _some(rows: Sequence[Row], count: int) -> Sequence[Row]:
    """At most `count` rows, evenly from all."""
    return [rows[i * len(rows) // count] for i in range(count)] if len(rows) > count else rows


def _once(config: EvaluateConfig) -> EvaluateConfig:
    """The benchmarks with one answer to each problem."""
    once: list[BenchmarkConfig] = [one.model_copy(update={"samples": 1}) for one in config.benchmarks]
    return config.model_copy(update={"benchmarks": tuple(once)})


def _accuracy(graded: Sequence[Graded]) -> float | None:
    judged = [one.right for one in graded if one.right is not None]
    return fmean(judged) if judged else None


def alarm(lines: Sequence[Mapping[str, Any]], measurements: int) -> str:
    """Why the newest line of metrics is alarming; empty when it is not, or when the one measured before it was.

    Over the last `measurements` of them, the reward (its mean since the measurement before) rises: the slope of its
    regression line is above 0 by two of its standard errors. The held-out accuracy does not: its slope is not above 0.
    """
    if not lines or lines[-1]["held_out"] is None:
        return ""
    points = _points(lines)
    why = _divergence(points[-measurements:], measurements)
    return why if not _divergence(points[-measurements - 1 : -1], measurements) else ""


def _points(lines: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Mean reward since the measurement before, and the held-out accuracy, of each measurement."""
    points, rewards = [], []
    for line in lines:
        rewards.append(line["reward"])
        if line.get("held_out") and line["held_out"]["accuracy"] is not None:
            points.append((fmean(rewards), line["held_out"]["accuracy"]))
            rewards = []
    return points


def _divergence(points: Sequence[tuple[float, float]], measurements: int) -> str:
    if len(points) < measurements:
        return ""
    rewards, accuracies = zip(*points, strict=True)
    rise, error = _trend(rewards)
    gain, _ = _trend(accuracies)
    spans = measurements - 1
    if rise * spans < LEAST_RISE or rise <= SURE * error or gain > 0:
        return ""
    return (
        f"over {measurements} measurements the reward rose by {rise * spans:.3g} while held-out accuracy went from "
        f"{accuracies[0]:.3g} to {accuracies[-1]:.3g}: look at what is rewarded (`halyard reward probe`)"
    )


def _trend(values: Sequence[float]) -> tuple[float, float]:
    """Slope of the regression line over equal steps, and its standard error.

    >>> _trend([1.0, 2.0, 3.0])
    (1.0, 0.0)
    """
    places = range(len(values))
    slope, start = linear_regression(places, values)
    left = sum((value - start - slope * place) ** 2 for place, value in zip(places, values, strict=True))
    spread = sum((place - fmean(places)) ** 2 for place in places)
    return slope, math.sqrt(left / (len(values) - 2) / spread)
