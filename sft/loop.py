"""Supervised fine-tuning: next-token cross-entropy on what the assistant says.

    rows ──▶ batches ──▶ learner.update ──▶ metrics, now and then a validation loss and a checkpoint
    data     rendered     one optimiser
             ahead        step each

A step is `sequences_per_step` conversations of the mixture. The state of a stage is the learner's and the
position in the stream of rows: both are in a checkpoint, so that a resumed stage ends with the same bits.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from halyard.runs.atomic import write_json
from halyard.runs.control import Boundary
from sft.batches import Batch, Batches
from sft.loss import cross_entropy
from sft.sequences import Conversations, to_sequences

if TYPE_CHECKING:
    from configs.stages import SftStage
    from halyard.cluster.types import TrainSequence, Update
    from sft.session import SftSession


async def train(stage: SftStage, session: SftSession) -> None:
    """Train the learner's policy for the stage's steps, going on from the newest checkpoint if there is one.

    Raises:
        Interrupted: `session.stop` was set; the last step is finished and checkpointed.
        DataError: a row cannot be used, and the recipe refuses such rows.
        HalyardError: a part of the run failed; the checkpoint before it is on disk.
    """
    step = await start(session)
    boundary = Boundary(session.control, stage)
    await session.learner.set_learning_rate(boundary.stage(step).optimizer.learning_rate)
    conversations = Conversations(session.renderer, window=session.window)
    held_out = to_sequences(await asyncio.to_thread(lambda: [conversations.render(row) for row in session.validation]))
    size, bad = stage.sequences_per_step, stage.data.on_bad_row
    async with Batches(session.rows, conversations, size=size, on_bad_row=bad) as batches:
        while step < stage.steps:
            began = time.perf_counter()
            batch = await batches.next()
            waited = time.perf_counter() - began
            update = await session.learner.update(batch.sequences, cross_entropy)
            step += 1
            line = figures(step, batch, update, waited=waited, seconds=time.perf_counter() - began)
            if held_out and (step % stage.validate_every == 0 or step == stage.steps):
                line |= await validate(held_out, session)
            for reason in batch.skipped:
                session.event("bad_row", reason=reason)
            session.folder.record(line)
            session.progress(step, stage.steps, shown(line))
            now = await boundary.cross(step, partial(save, session, step, batch.position), session.stop)
            await session.learner.set_learning_rate(now.optimizer.learning_rate)


async def start(session: SftSession) -> int:
    """Steps done before: 0, or those of the newest checkpoint, with learner, stream and folder set back to it."""
    checkpoint = session.folder.latest_checkpoint()
    if checkpoint is None:
        session.folder.truncate(0)
        return 0
    step, path = checkpoint
    await session.learner.load_checkpoint(path / "learner")
    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    session.rows.seek(state["position"])
    session.folder.truncate(step)
    session.event("resumed", step=step)
    return step


async def save(session: SftSession, step: int, position: int) -> None:
    """Write all that a resume after this step needs."""
    with session.folder.checkpoint(step) as path:
        await session.learner.save_checkpoint(path / "learner")
        write_json(path / "state.json", {"position": position})
    session.event("checkpoint", step=step)


async def validate(held_out: list[TrainSequence], session: SftSession) -> dict[str, float]:
    """Mean figures of the held-out conversations, without learning from them."""
    measured = await session.learner.evaluate(held_out, cross_entropy)
    return {f"validation_{name}": measured[name] for name in ("nll", "confident")}


def figures(step: int, batch: Batch, update: Update, *, waited: float, seconds: float) -> dict[str, Any]:
    """The line of a step; `waited` are the seconds that the learner stood still for its batch."""
    return {
        "step": step,
        "loss": update.loss,
        "grad_norm": update.grad_norm,
        "learning_rate": update.learning_rate,
        "tokens": update.tokens,
        "tokens_learnt": update.loss_tokens,
        "sequences": update.sequences,
        "rows_skipped": len(batch.skipped),
        "packs": update.packs,
        **update.metrics,
        "tokens_per_second": update.tokens / seconds,
        "seconds": {**update.seconds, "wait": waited, "step": seconds},
    }


def shown(line: Mapping[str, Any]) -> dict[str, float]:
    """The few figures of a step's line that a progress bar has room for."""
    names = ("loss", "validation_nll", "learning_rate", "tokens_per_second")
    return {name: line[name] for name in names if name in line}
