"""A run as it lies on disk after a stage of learning from rewards, for what shows runs."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image
from support.recipes_for_tests import written
from support.served import write_snapshot

from configs.load import load_recipe
from halyard.data.types import ImageRef, Message, Prompt, Rollout, Verdict, VersionSpan
from halyard.runs.folder import RunFolder
from halyard.runs.rollouts import RolloutRecord, record

STEPS = 3
ANSWERS = ("five <b>", "six")


def watched_run(root: Path, name: str = "mine") -> Path:
    """A finished run with metrics, rollouts with an image, events and two snapshots."""
    run = RunFolder.create(root, name, load_recipe(written(root)).recipe)
    run.event("started", resumed=False)
    run.event("stage_started", stage="rl")
    check = {"name": "same tokens", "status": "ok", "detail": "12 tokens of 2 prompts", "seconds": 0.1}
    run.event("preflight", stage="rl", checks=[check])
    stage = run.stage(2, "rl")
    for step in range(1, STEPS + 1):
        stage.record(_line(step))
        stage.write_rollouts(step, [_record(step, prompt, index) for prompt in range(2) for index in range(2)])
    write_snapshot(run.path, "01-sft")
    write_snapshot(run.path, "02-rl")
    run.event("snapshot", stage="rl", version="02-rl")
    run.event("finished")
    return run.path


def _line(step: int) -> dict[str, object]:
    seconds = {"wait": 2.0, "generate": 1.9, "score": 0.1, "forward": 0.5, "backward": 0.4, "step": 3.0}
    return {
        "step": step,
        "reward": 0.25 * step,
        "accuracy": 0.2 * step,
        "components": {"answer": 0.2 * step, "format": 1.0},
        "entropy": 0.5 / step,
        "engine_drift": 4e-7,
        "drift": 4e-7,
        "drift_k3": 3e-9,
        "response_tokens_mean": 12.5,
        "response_tokens_max": 40,
        "tokens_per_second": 1500.0,
        "staleness_mean": 0.0,
        "staleness_max": 0,
        "seconds": seconds,
    }


def _record(step: int, prompt: int, index: int) -> RolloutRecord:
    occurrence = step * 2 + prompt
    images = (ImageRef(uri=_red()),) if prompt == 0 else ()
    asked = Prompt(
        id=f"q{occurrence}",
        messages=(Message(role="user", text=f"How much is 2+{occurrence}?", images=images),),
        answer="5",
        task="math",
        family="sum",
        thinking=False,
    )
    rollout = Rollout(
        prompt_id=asked.id,
        index=index,
        prompt_token_ids=(1,),
        response_token_ids=(2, 3),
        rollout_logprobs=(-0.1, -1.2),
        text=ANSWERS[index],
        finish_reason="stop",
        spans=(VersionSpan(start=0, stop=2, policy_version=step - 1),),
        seed=0,
    )
    right = index == 0
    verdict = Verdict(
        reward=float(right),
        status="ok",
        components={"answer": float(right)},
        reason="answer: five equals 5" if right else "answer: six is not 5",
    )
    return record(
        asked, rollout, verdict, step=step, occurrence=occurrence, state="trained", advantage=1.0 if right else -1.0
    )


def _red() -> str:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
