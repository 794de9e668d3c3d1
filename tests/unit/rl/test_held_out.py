from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.rl_fakes import FakeScorer, World
from support.rl_stage import DATA, rows, session, stage

from configs.stages import EvaluateConfig
from halyard.data.types import Verdict
from rl.held_out import alarm
from rl.loop import train

HACKED = [0.1, 0.3, 0.5, 0.7, 0.9]
FLAT = [0.5, 0.52, 0.48, 0.5, 0.49]


def lines(rewards: list[float], accuracies: list[float], between: int = 2) -> list[dict[str, Any]]:
    """Two steps a measurement: the reward is a little lower in the first, and a little higher in the second."""
    found = []
    for reward, accuracy in zip(rewards, accuracies, strict=True):
        found += [
            {"reward": reward - 0.01, "held_out": None},
            {"reward": reward + 0.01, "held_out": {"accuracy": accuracy}},
        ]
    return found


@pytest.mark.parametrize(
    ("rewards", "accuracies", "alarming"),
    [
        (HACKED, FLAT, True),
        (HACKED, [0.5, 0.4, 0.4, 0.3, 0.2], True),
        (HACKED, HACKED, False),
        (FLAT, FLAT, False),
        (HACKED[::-1], FLAT, False),
        ([0.5, 0.9, 0.1, 0.8, 0.6], FLAT, False),  # noise: its slope is 0.01, with a standard error of about 0.1
        ([0.500, 0.501, 0.502, 0.503, 0.504], FLAT, False),  # sure, but hardly a rise
        (HACKED[:4], FLAT[:4], False),  # too early to tell
    ],
)
def test_a_reward_that_rises_alone_alarms(rewards: list[float], accuracies: list[float], alarming: bool) -> None:
    assert bool(alarm(lines(rewards, accuracies), 5)) == alarming


def test_an_alarm_is_given_once_and_at_a_measurement() -> None:
    history = lines([*HACKED, 1.1], [*FLAT, 0.48])
    assert "the reward rose by 0.8 while held-out accuracy went from 0.5 to 0.49" in alarm(history[:10], 5)
    assert alarm(history[:11], 5) == ""  # no measurement in this step
    assert alarm(history, 5) == ""  # said before


BENCHMARKS = EvaluateConfig.model_validate(
    {"benchmarks": [{"name": "sums", "data": DATA, "modes": ["direct"], "sampling": {"max_tokens": 4}}]}
)


class Grading(FakeScorer):
    """Finds half of all held-out answers right, those to even questions, and cannot judge question 4."""

    async def grade(self, responses: Any) -> list[Verdict]:
        return [self._one(int(one.reference)) for one in responses]

    def _one(self, number: int) -> Verdict:
        if number == 4:
            return Verdict(reward=None, status="failed", reason="timeout: killed")
        return Verdict(reward=float(number % 2 == 0), components={"format": 1.0})


async def test_accuracy_is_measured_while_a_stage_trains(tmp_path: Path) -> None:
    world = World()
    live = session(tmp_path, world, scorer=Grading(world), benchmarks=BENCHMARKS, held_out={"sums": rows(20)})
    await train(stage(steps=4, held_out={"every": 2, "rows": 10}), live)
    measured = [line["held_out"] for line in live.folder.metrics()]
    assert [one is not None for one in measured] == [False, True, False, True]
    assert measured[1] == measured[3]
    # every second of rows 0 to 19: 0, 2, 4, … 18; all even, and 4 not judged
    assert measured[1] == {"accuracy": 1.0, "benchmarks": {"sums.direct": 1.0}, "answers": 10, "failed": 1}
    assert live.folder.metrics()[1]["seconds"]["evaluate"] > 0


async def test_a_run_that_hacks_its_reward_is_told_so(tmp_path: Path) -> None:
    class Hacked(Grading):
        """Pays more with every group that it sees."""

        async def score(self, samples: Any) -> list[Verdict]:
            self.slept += 1
            verdicts = await super().score(samples)
            return [replace(one, reward=(one.reward or 0.0) + 0.2 * self.slept) for one in verdicts]

    world, events = World(), []
    parts = {"scorer": Hacked(world), "benchmarks": BENCHMARKS, "held_out": {"sums": rows(4)}, "events": events}
    await train(stage(steps=5, held_out={"every": 1, "alarm_after": 4}), session(tmp_path, world, **parts))
    alarms = [event for event in events if event["kind"] == "reward_alarm"]
    assert [event["step"] for event in alarms] == [4]
    assert "held-out accuracy went from 0.5 to 0.5" in alarms[0]["why"]


async def test_nothing_is_measured_without_benchmarks(tmp_path: Path) -> None:
    live = session(tmp_path, World())
    await train(stage(steps=2, held_out={"every": 1}), live)
    assert [line["held_out"] for line in live.folder.metrics()] == [None, None]
