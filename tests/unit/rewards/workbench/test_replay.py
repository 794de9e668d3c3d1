"""A stage's rollouts, written by the run's own writer, under another reward."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.old_runs import write_run

from halyard.errors import ConfigError
from rewards.workbench.replay import Replay, read_steps, rl_stage
from rewards.workbench.trial import replay_run

WEAK = Path(__file__).resolve().parents[3] / "support" / "rewards" / "weak.py"


async def replayed(stage: Path, steps: int | None = None) -> Replay:
    found, _ = await replay_run(stage, f"{WEAK}:strict", steps=steps)
    return found


async def test_what_would_have_differed(tmp_path: Path) -> None:
    right, wrong = r"\boxed{5}", r"\boxed{6}"
    stage = write_run(
        tmp_path,
        [(right, 1.0), (wrong, 0.0)],  # as it was
        [(right, 0.0), (wrong, 1.0)],  # turned
        [(right, 1.0), (wrong, 1.0)],  # was level, is not
        [(right, None), (wrong, 0.5)],  # one could not be judged then
    )
    found = await replayed(stage)
    assert found.agreement == pytest.approx(3 / 8)  # the first two, and the right one of the third group
    assert found.means == (pytest.approx(4.5 / 7), pytest.approx(4 / 8))
    assert found.shift == pytest.approx((0 + 0 + 1 - 1 + 0 - 1 - 0.5) / 7)
    assert found.failed == (1, 0)
    assert [(group.step, group.turned) for group in found.turned] == [(2, 1)]
    assert [group.split for group in found.groups] == [0, 0, 1, 0]
    assert [group.signal for group in found.groups] == [(True, True), (True, True), (False, True), (False, True)]
    assert found.pushed_otherwise == pytest.approx(2 / 7)  # both of the second group, of 7 judged twice
    assert found.changed[0].record.reward is None  # failures come first


async def test_some_steps_are_spread_over_the_stage(tmp_path: Path) -> None:
    stage = write_run(tmp_path, *[[("5", 1.0), ("6", 0.0)]] * 9)
    assert [step[0][0].step for step in read_steps(stage, 3)] == [1, 5, 9]
    assert [step[0][0].step for step in read_steps(stage, 1)] == [1]
    assert len(list(read_steps(stage, 100))) == 9


async def test_a_run_is_not_touched(tmp_path: Path) -> None:
    stage = write_run(tmp_path, [("5", 1.0), ("6", 0.0)])
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    await replayed(stage)
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_stages_go_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no rollouts: only stages of type rl"):
        rl_stage(tmp_path, None)
    write_run(tmp_path, [("5", 1.0)], stage="02-first")
    last = write_run(tmp_path, [("5", 1.0)], stage="05-second")
    assert rl_stage(tmp_path, None) == last
    assert rl_stage(tmp_path, "first").name == "02-first"
    with pytest.raises(ConfigError, match="no rollouts of a stage third; it has those of first, second"):
        rl_stage(tmp_path, "third")
