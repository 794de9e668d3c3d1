"""From a session to the first step: preflight, the newest checkpoint, the books as they were."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rl.books import Books
from rl.preflight import preflight

if TYPE_CHECKING:
    from configs.stages import RlStage
    from rl.clock import Clock
    from rl.live import LiveEngine
    from rl.presets import Algorithm
    from rl.session import RlSession

LEARNER, TRAINER = "learner", "trainer.json"


async def start(stage: RlStage, algorithm: Algorithm, session: RlSession) -> Books:
    """The books of the newest checkpoint, with the learner as it was then; or new books.

    The learner is given with the weights that the stage starts from. They are what the preflight looks
    at, in a resumed run too (the machines may be others), and what the KL penalty refers to.

    Raises:
        PreflightError: the run would train blind.
        SnapshotError: the checkpoint is damaged, or does not fit the data any more.
    """
    checks = await preflight(stage, session)
    session.event("preflight", checks=[asdict(check) for check in checks])
    if algorithm.kl_coef > 0:
        await session.learner.freeze_reference()
    latest = session.folder.latest_checkpoint()
    if latest is None:
        session.folder.truncate(0)
        return Books.new(stage, session)
    step, folder = latest
    await session.learner.load_checkpoint(folder / LEARNER)
    session.folder.truncate(step)
    session.event("resumed", step=step)
    return Books.from_json(json.loads((folder / TRAINER).read_text()), stage, session)


async def save(session: RlSession, books: Books, engine: LiveEngine, clock: Clock) -> None:
    """Nothing; the state after the last step is on disk, as `start` reads it.

    The books are taken down first, in one moment: prompts go on being answered while the learner saves.
    """
    async with engine.learner_lock:
        with clock.phase("checkpoint"):
            record = json.dumps(books.to_json())
            with session.folder.checkpoint(books.step) as folder:
                await session.learner.save_checkpoint(folder / LEARNER)
                (folder / TRAINER).write_text(record)
    session.event("checkpoint", step=books.step)
