"""The RL loop: sample, judge, learn, publish, write down. Start reading here.

    prompts ──▶ feed ──▶ rollouts ──▶ sequences ──▶ update ──▶ live ──▶ figures
    which,      when     sampled,     advantages,   loss,      engine   what the
    in which             judged       weights       learner    gets it  step was
    order

Each word of the first row is the file beside this one where that part is. `slots` bounds how old the
trained rollouts are, `books` is what the driver knows and saves, `start` brings a stage to its first
step, and `presets` is the table of algorithms. Between two steps `boundary` writes checkpoints and does what
people ask for; `changes` is how keys that they change take effect.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from halyard.runs.control import Boundary
from rl.changes import check, take_effect
from rl.clock import Clock
from rl.feed import Feed
from rl.figures import Step, shown
from rl.held_out import alarm, measure
from rl.live import LiveEngine
from rl.presets import resolve
from rl.rollouts import roll_out
from rl.sequences import mini_batches
from rl.start import save, start
from rl.update import learn

if TYPE_CHECKING:
    from configs.stages import RlStage
    from rl.presets import Algorithm
    from rl.session import RlSession


async def train(stage: RlStage, session: RlSession) -> None:
    """Train the learner's policy for all steps of the stage, from the newest checkpoint where there is one.

    `max_staleness` is the only difference between on-policy and overlapping training: at 0 the feed has
    nothing to sample until `release`, at n it samples for the next n steps while the learner works. `stage` is
    another one after a step at which people changed a key of it.

    Raises:
        Interrupted: `session.stop` was set; the step was finished, and a checkpoint written.
        PreflightError: the run would train blind.
        HalyardError: a part of the run failed; the newest checkpoint is on disk.
    """
    books = await start(stage, resolve(stage.algorithm), session)
    clock = Clock()
    engine = LiveEngine(session)
    await engine.publish(books.step)
    boundary = Boundary(session.control, stage, check)
    stage, algorithm = await take_effect(boundary.stage(books.step), books, session)
    answer = partial(roll_out, session=session, engine=engine, stream=books.stream, clock=clock)
    keep = partial(save, session, books, engine, clock)
    async with Feed(stage, algorithm, books, session.deadlines, roll_out=answer) as feed:
        for number in range(books.step + 1, stage.steps + 1):
            feed.release(stage, algorithm)
            with clock.phase("wait"):
                groups = await feed.next_groups(number)
            batches = mini_batches(groups, algorithm)
            async with engine.learner_lock:
                updates = await learn(batches, algorithm, session.learner, stage.sampling.temperature, clock)
                with clock.phase("transfer"):
                    transfer = await engine.publish(number)
                stale = groups[0].admitted.version < number - 1
                with clock.phase("drift"):
                    apart = await engine.drift(groups[0]) if stale else None
            with clock.phase("evaluate"):
                held_out = await measure(number, stage, session, engine)
            unused = books.close(number, groups)
            step = Step(
                number=number,
                trained=groups,
                unused=unused,
                updates=updates,
                transfer=transfer,
                seconds=clock.lap(),
                engine_drift=apart,
                judges=session.scorer.figures(),
                held_out=held_out,
            )
            with clock.phase("record"):
                write_down(step, stage, algorithm, session)
            stage, algorithm = await take_effect(await boundary.cross(number, keep, session.stop), books, session)
    session.event("coverage", **asdict(books.ledger.coverage()))


def write_down(step: Step, stage: RlStage, algorithm: Algorithm, session: RlSession) -> None:
    """Every rollout and figure of the step to disk, warnings of what looks wrong, and a glance to the screen."""
    line = step.line()
    session.folder.write_rollouts(step.number, step.records(algorithm))
    session.folder.record(line)
    if line["engine_drift"] > stage.drift_warning:
        session.event("drift", step=step.number, mean=line["engine_drift"], warning=stage.drift_warning)
    if why := alarm(session.folder.metrics(), stage.held_out.alarm_after) if step.held_out else "":
        session.event("reward_alarm", step=step.number, why=why)
    session.progress(step.number, stage.steps, shown(line))
