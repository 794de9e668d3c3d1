"""The driver's side of a learner, with hand-written ranks behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.exceptions import RayActorError, RayTaskError

from configs.cluster import ClusterConfig, LearnerConfig
from halyard.cluster.learner import Learner
from halyard.cluster.rank_types import RankSpec
from halyard.cluster.types import TrainSequence
from halyard.errors import ConfigError, LearnerError, LearnerLostError


class Rank:
    """Answers log-probs by token ids, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.packs: list[list[list[int]]] = []
        self.error = error
        self.logprobs = self

    async def remote(self, packs: Any, *_: Any) -> Any:
        if self.error is not None:
            raise self.error
        self.packs = [[one.token_ids.tolist() for one in pack] for pack in packs]
        return [[one.token_ids.astype(np.float32) for one in pack] for pack in packs]


@pytest.fixture(autouse=True)
def killed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The actors that were stopped; there is no Ray that could."""
    stopped: list[Any] = []
    monkeypatch.setattr("halyard.cluster.learner.ray.kill", stopped.append)
    return stopped


def learner(ranks: list[Rank], **settings: Any) -> Learner:
    config = ClusterConfig(learner=LearnerConfig(ranks=len(ranks), tokens_per_pack=6, **settings))
    specs = [
        RankSpec(
            name=f"learner-{number}",
            rank=number,
            ranks=len(ranks),
            log=Path("log"),
            learner=config.learner,
            patience=1,
        )
        for number in range(len(ranks))
    ]
    return Learner(config, specs, ranks, "learner")


SEQUENCES = [
    TrainSequence(token_ids=np.arange(n) + 10 * n, loss_mask=np.arange(n) > 0, weights=np.ones(n)) for n in (2, 3, 4, 5)
]


async def test_ranks_of_a_group_get_the_same_packs_and_answer_once() -> None:
    ranks = [Rank() for _ in range(4)]
    found = await learner(ranks, sequence_parallel=2).logprobs(SEQUENCES)
    assert [one.tolist() for one in found] == [one.token_ids.tolist() for one in SEQUENCES]
    assert ranks[0].packs == ranks[1].packs != ranks[2].packs == ranks[3].packs
    given = sorted(ids for rank in ranks[::2] for pack in rank.packs for ids in pack)
    assert given == sorted(one.token_ids.tolist() for one in SEQUENCES)


async def test_a_rank_that_is_gone_is_a_lost_learner(killed: list[Any]) -> None:
    ranks = [Rank(), Rank(RayActorError())]
    with pytest.raises(LearnerLostError, match="learner-1 died"):
        await learner(ranks).logprobs(SEQUENCES)
    assert killed == ranks


@pytest.mark.parametrize(("count", "kind"), [(1, LearnerError), (2, LearnerLostError)])
async def test_a_fault_of_one_of_several_ranks_may_be_the_death_of_another(count: int, kind: type[Exception]) -> None:
    """A rank that works alone has noticed nobody's death: to repeat what failed in it would fail again."""
    ranks = [Rank(RayTaskError("logprobs", "", RuntimeError("connection closed"))) for _ in range(count)]
    with pytest.raises(LearnerError, match=r"learner-\d failed: RuntimeError\('connection closed'\)") as caught:
        await learner(ranks).logprobs(SEQUENCES)
    assert type(caught.value) is kind


async def test_what_the_ranks_refuse_is_no_loss(killed: list[Any]) -> None:
    ranks = [Rank(RayTaskError("logprobs", "", ConfigError("no such part"))) for _ in range(2)]
    with pytest.raises(ConfigError, match="no such part"):
        await learner(ranks).logprobs(SEQUENCES)
    assert not killed
