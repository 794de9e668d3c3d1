"""A stage on disk: no gaps, no doubles, and never without a whole checkpoint once there was one."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from halyard.data.types import Message, Prompt, Rollout, Verdict, VersionSpan
from halyard.errors import HalyardError, SnapshotError
from halyard.runs.rollouts import RolloutRecord, record
from halyard.runs.stage import StageFolder


@pytest.fixture
def folder(tmp_path: Path) -> StageFolder:
    return StageFolder(tmp_path / "stages" / "01-rl")


def rollout_record(step: int, *, reward: float | None = 1.0) -> RolloutRecord:
    prompt = Prompt(
        id="sum-17",
        messages=(Message(role="user", text="2+3?"),),
        answer="5",
        task="math",
        family="sum",
        thinking=True,
        metadata={"box": [1, 2], "day": datetime.date(2026, 2, 1)},
    )
    rollout = Rollout(
        prompt_id="sum-17",
        index=3,
        prompt_token_ids=(5, 9),
        response_token_ids=(7, 2, 1),
        rollout_logprobs=(-0.5, -0.25, 0.0),
        text="<think>2+3</think>\\boxed{5}",
        finish_reason="stop",
        spans=(
            VersionSpan(start=0, stop=1, policy_version=3),
            VersionSpan(start=1, stop=3, policy_version=4),
        ),
        seed=2**31 - 1,
    )
    verdict = Verdict(
        reward=reward, components={"answer": 1.0}, status="failed" if reward is None else "ok", reason="5 equals 5"
    )
    return record(prompt, rollout, verdict, step=step, occurrence=17, state="trained", advantage=0.5)


def save(folder: StageFolder, step: int) -> None:
    with folder.checkpoint(step) as path:
        (path / "rank").mkdir()
        (path / "rank" / "weights").write_text(f"weights of {step}")


def test_metrics_have_neither_gaps_nor_doubles(folder: StageFolder) -> None:
    folder.record({"step": 1, "loss": 2.0})
    folder.record({"step": 2, "loss": float("nan")})
    for wrong in (2, 4):
        with pytest.raises(HalyardError, match=f"step {wrong} cannot follow step 2"):
            folder.record({"step": wrong})
    again = StageFolder(folder.path)
    again.record({"step": 3})
    assert again.metrics() == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": None}, {"step": 3}]


def test_rollouts_come_back_as_they_were(folder: StageFolder) -> None:
    written = [rollout_record(1), rollout_record(1, reward=None)]
    folder.write_rollouts(1, written)
    first, second = folder.read_rollouts()
    assert list(first.response_token_ids) == [7, 2, 1]
    assert list(first.rollout_logprobs) == [-0.5, -0.25, 0.0]
    assert (first.version_oldest, first.version_newest, first.seed) == (3, 4, 2**31 - 1)
    assert first.components == {"answer": 1.0}
    assert (first.reward, second.reward, second.status) == (1.0, None, "failed")
    assert (first.question, first.reference, first.advantage) == ("2+3?", "5", 0.5)
    assert first.metadata == {"box": [1, 2], "day": "2026-02-01"}


def test_rollouts_of_a_run_that_kept_no_metadata_can_be_read(folder: StageFolder) -> None:
    folder.write_rollouts(1, [rollout_record(1)])
    file = folder.path / "rollouts" / "000001.parquet"
    pq.write_table(pq.read_table(file).drop_columns("metadata"), file)
    (record,) = folder.read_rollouts()
    assert (record.metadata, record.reward) == ({}, 1.0)


def test_truncate_cuts_what_came_after_a_checkpoint(folder: StageFolder) -> None:
    for step in (1, 2, 3):
        folder.record({"step": step})
        folder.write_rollouts(step, [rollout_record(step)])
    folder.truncate(1)
    assert [line["step"] for line in folder.metrics()] == [1]
    assert [one.step for one in folder.read_rollouts()] == [1]
    folder.record({"step": 2})


def test_the_newest_checkpoint_alone_is_kept(folder: StageFolder) -> None:
    assert folder.latest_checkpoint() is None
    for step in (9, 10, 100):
        save(folder, step)
    found = folder.latest_checkpoint()
    assert found == (100, folder.path / "checkpoint-000100")
    assert [path.name for path in folder.path.glob("checkpoint-*")] == ["checkpoint-000100"]


def test_a_checkpoint_that_fails_leaves_the_older_one(folder: StageFolder) -> None:
    def fail() -> None:
        with folder.checkpoint(4) as path:
            (path / "weights").write_text("half")
            raise RuntimeError("the learner died")

    save(folder, 3)
    with pytest.raises(RuntimeError):
        fail()
    found = folder.latest_checkpoint()
    assert found is not None
    assert found[0] == 3


def test_a_crash_while_writing_leaves_the_older_one(folder: StageFolder) -> None:
    save(folder, 3)
    (folder.path / ".checkpoint-000006.tmp").mkdir()
    again = StageFolder(folder.path)
    assert again.latest_checkpoint() == (3, folder.path / "checkpoint-000003")
    assert not list(folder.path.glob(".*"))


@pytest.mark.parametrize("damage", ["flip", "remove", "hashes"])
def test_a_damaged_checkpoint_is_refused_by_name(folder: StageFolder, damage: str) -> None:
    save(folder, 3)
    weights = folder.path / "checkpoint-000003" / "rank" / "weights"
    if damage == "flip":
        weights.write_text("weights of 4")
    elif damage == "remove":
        weights.unlink()
    else:
        (folder.path / "checkpoint-000003" / "files.json").unlink()
    with pytest.raises(SnapshotError, match=r"files\.json" if damage == "hashes" else "rank/weights"):
        folder.latest_checkpoint()


def test_finishing_is_what_makes_it_done(folder: StageFolder) -> None:
    save(folder, 3)
    assert not folder.done
    folder.finish({"accuracy": 0.5})
    assert folder.done
    assert folder.summary == {"accuracy": 0.5}
    assert folder.latest_checkpoint() is None


def test_answers_to_benchmarks_are_kept_whole(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    folder.write_evaluation([{"text": "a\nb", "right": float("nan")}, {"text": "½", "right": 1.0}])
    lines = (tmp_path / "evaluation.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"text": "a\nb", "right": None}, {"text": "½", "right": 1.0}]
