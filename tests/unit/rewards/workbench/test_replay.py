"""A stage's rollouts, written by the run's own writer, under another reward."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from support.old_runs import write_run

from halyard.data.images import to_data_uri
from halyard.data.types import ImageRef, Message, Prompt, Rollout, Verdict, VersionSpan
from halyard.errors import ConfigError
from halyard.runs.rollouts import record
from rewards.workbench.replay import Replay, read_steps, rl_stage, to_sample
from rewards.workbench.trial import replay_run
from rl.rollouts import to_sample as as_in_the_run

REWARDS = Path(__file__).resolve().parents[3] / "support" / "rewards"
WEAK, LOOKS = REWARDS / "weak.py", REWARDS / "looks.py"


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


def test_a_reward_sees_what_it_saw_in_the_run() -> None:
    prompt = Prompt(
        id="q",
        messages=(Message(role="user", text="2+3?"),),
        answer="5",
        task="math",
        family="sums",
        thinking=True,
        metadata={"level": 2},
    )
    rollout = Rollout(
        prompt_id="q",
        index=0,
        prompt_token_ids=(1, 2, 3),
        response_token_ids=(4, 5),
        rollout_logprobs=(-0.1, -0.1),
        text=r"<think>2 + 3</think>\boxed{5}",
        finish_reason="length",
        spans=(VersionSpan(start=0, stop=2, policy_version=0),),
        seed=0,
    )
    kept = record(prompt, rollout, Verdict(reward=1.0), step=1, occurrence=7, state="trained")
    assert to_sample(kept) == replace(as_in_the_run(prompt, rollout), group_id="7")


async def test_a_reward_that_looks_at_the_images_is_shown_them_again(tmp_path: Path) -> None:
    files = []
    for colour in ("red", "blue"):
        Image.new("RGB", (4, 4), colour).save(path := tmp_path / f"{colour}.png")
        files.append(path)
    images = (ImageRef(path=str(files[0])), ImageRef(uri=to_data_uri(files[1].read_bytes(), "png")))
    stage = write_run(tmp_path, *[[("red", 0.0), ("blue", 0.0)]] * 2, images=images)
    found, _ = await replay_run(stage, f"{LOOKS}:names_the_colour")
    assert [[one.verdict.reward for one in group.rollouts] for group in found.groups] == [[1.0, 0.0], [0.0, 1.0]]
    files[0].unlink()
    found, _ = await replay_run(stage, f"{LOOKS}:names_the_colour")
    assert found.failed == (0, 2)  # what can no longer be looked at is no zero
    assert str(files[0]) in found.rollouts[0].verdict.reason


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
