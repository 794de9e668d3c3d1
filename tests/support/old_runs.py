"""Rollouts of a run that is over, by the run's own writer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from halyard.data.types import ImageRef, Message, Prompt, Rollout, Verdict, VersionSpan
from halyard.runs.rollouts import RolloutRecord, record
from halyard.runs.stage import StageFolder

Answers = Sequence[tuple[str, float | None]]
"""Texts with the rewards that they had."""


def write_run(run: Path, *groups: Answers, stage: str = "04-rl", images: Sequence[ImageRef] = ()) -> Path:
    """The folder of a stage of one step for each group, each with its image if there are; reference 5, mode direct."""
    folder = StageFolder(run / "stages" / stage)
    (run / "recipe.json").write_text("{}")
    for step, group in enumerate(groups, start=1):
        shown = tuple(images[step - 1 : step])
        folder.write_rollouts(step, [_record(step, index, *answer, shown) for index, answer in enumerate(group)])
    return folder.path


def _record(step: int, index: int, text: str, reward: float | None, images: tuple[ImageRef, ...]) -> RolloutRecord:
    asked = Message(role="user", text="2+3?", images=images)
    prompt = Prompt(id="q", messages=(asked,), answer="5", task="math", thinking=False)
    rollout = Rollout(
        prompt_id="q",
        index=index,
        prompt_token_ids=(1,),
        response_token_ids=(2, 3),
        rollout_logprobs=(-0.1, -0.1),
        text=text,
        finish_reason="stop",
        spans=(VersionSpan(start=0, stop=2, policy_version=0),),
        seed=index,
    )
    verdict = Verdict(reward=reward, status="failed" if reward is None else "ok")
    return record(prompt, rollout, verdict, step=step, occurrence=step, state="trained")
