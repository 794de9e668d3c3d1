"""Keys that people change while a stage runs: what cannot be, and how the rest takes effect between two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from halyard.errors import ConfigError
from rl.presets import resolve

if TYPE_CHECKING:
    from configs.stages import RlStage
    from rl.books import Books
    from rl.presets import Algorithm
    from rl.session import RlSession


def check(begun: RlStage, stage: RlStage) -> None:
    """Nothing, when a stage that was begun can go on as `stage`.

    Raises:
        ConfigError: it would need a reference that was not kept when it began.
    """
    if resolve(stage.algorithm).kl_coef > 0 and resolve(begun.algorithm).kl_coef == 0:
        raise ConfigError(
            f"algorithm.kl_coef of {begun.name} was 0 when the stage began, so no reference to pull towards was kept; "
            "start the stage with a small one, if it is to be changed later"
        )


async def take_effect(stage: RlStage, books: Books, session: RlSession) -> tuple[RlStage, Algorithm]:
    """The stage and its algorithm as the next step goes by them; learner and scorer have what is theirs.

    One temperature holds for all answers of a step. Where answers sampled at another one are under way, the stage
    first trains on those: meanwhile it keeps their temperature, and samples no more than the next step needs.
    """
    await session.learner.set_learning_rate(stage.optimizer.learning_rate)
    session.scorer.weigh(stage.rewards)
    waits = stage.sampling.temperature != books.temperature and bool(books.slots.queue)
    if waits:
        sampling = stage.sampling.model_copy(update={"temperature": books.temperature})
        stage = stage.model_copy(update={"sampling": sampling})
    books.temperature = stage.sampling.temperature
    books.slots.limit(0 if waits else stage.max_staleness)
    return stage, resolve(stage.algorithm)
