"""What several of the tests here share: two learner ranks, one alone, and problems for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.ranks import Ranks
from support.tiny_models import save_moe
from support.trained_on_ranks import Problem, problem


@pytest.fixture(scope="session")
def vision(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    from model.build import build

    path = tmp_path_factory.mktemp("vision") / "policy"
    build("nano", path, seed=1)
    return problem(path, images=[True, True, False, False])


@pytest.fixture(scope="session")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return problem(save_moe(tmp_path_factory.mktemp("moe") / "policy"), images=[False])


@pytest.fixture(scope="session")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    started = Ranks.start(2, tmp_path_factory.mktemp("two"))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    started = Ranks.start(1, tmp_path_factory.mktemp("one"))
    yield started
    started.stop()
