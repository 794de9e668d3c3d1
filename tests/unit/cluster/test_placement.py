from __future__ import annotations

import pytest

from configs.cluster import ClusterConfig, EngineConfig, LearnerConfig
from halyard.cluster.placement import Resources, plan, threads
from halyard.errors import PlacementError

LAPTOP = Resources(cpus=2, gpus=0)
BOX = Resources(cpus=32, gpus=8)


def recipe(placement: str = "side_by_side", *, engine: dict | None = None, learner: dict | None = None):
    return ClusterConfig(
        placement=placement, engine=EngineConfig(**engine or {}), learner=LearnerConfig(**learner or {})
    )


def test_side_by_side_gives_everyone_a_place():
    made = plan(recipe(engine={"count": 2}, learner={"ranks": 2}), Resources(cpus=4, gpus=0))
    assert [bundle.cpus for bundle in made.bundles] == [1, 1, 1, 1]
    assert (made.engines, made.ranks) == ((0, 1), (2, 3))


def test_the_default_fits_two_cores():
    assert len(plan(ClusterConfig(), LAPTOP).bundles) == 2


def test_sharing_pairs_engines_with_ranks_and_takes_the_larger_of_each():
    config = recipe("sharing", engine={"count": 1, "cpus": 2}, learner={"ranks": 2, "cpus": 1})
    made = plan(config, Resources(cpus=3, gpus=0))
    assert [bundle.cpus for bundle in made.bundles] == [2, 1]
    assert (made.engines, made.ranks) == ((0,), (0, 1))


def test_too_many_cores_are_refused_with_the_sum():
    with pytest.raises(
        PlacementError, match=r"2 engines × 1 cores \+ 1 learner rank × 1 cores = 3 cores .* there are 2"
    ):
        plan(recipe(engine={"count": 2}), LAPTOP)


def test_too_many_cores_are_refused_when_shared_too():
    with pytest.raises(PlacementError, match=r"need 4 \(1 engine × 4 cores; 1 learner rank × 1 cores"):
        plan(recipe("sharing", engine={"cpus": 4}), LAPTOP)


def test_too_many_gpus_are_refused():
    config = recipe(engine={"count": 8, "gpus": 1, "cpus": 1}, learner={"gpus": 1})
    with pytest.raises(PlacementError, match=r"= 9 GPUs side by side, but there are 8"):
        plan(config, BOX)


def test_halves_of_a_gpu_add_up():
    config = recipe(engine={"gpus": 0.5}, learner={"gpus": 0.5})
    assert [bundle.gpus for bundle in plan(config, Resources(cpus=2, gpus=1)).bundles] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("engine", "learner", "words"),
    [
        ({"gpus": 1}, {}, "give both GPUs or neither"),
        ({"gpus": 2}, {"gpus": 1}, "exactly as many GPUs"),
        ({"gpus": 1, "tensor_parallel": 2}, {"gpus": 1}, "exactly as many GPUs"),
        ({"tensor_parallel": 2}, {}, r"engine.cpus is 1: each process .* needs a core of its own"),
        ({"gpus": 1}, {"gpus": 2}, "a rank drives one GPU"),
    ],
)
def test_shares_of_gpus_that_cannot_be_given_are_refused(engine, learner, words):
    with pytest.raises(PlacementError, match=words):
        plan(recipe(engine=engine, learner=learner), BOX)


def test_an_engine_of_several_processes_is_one_place():
    config = recipe(engine={"count": 2, "cpus": 2, "tensor_parallel": 2}, learner={"cpus": 1})
    assert [bundle.cpus for bundle in plan(config, Resources(cpus=5, gpus=0)).bundles] == [2, 2, 1]


@pytest.mark.parametrize(("cpus", "expected"), [(0.5, 1), (1, 1), (2, 2), (3.9, 3)])
def test_threads_follow_cores(cpus, expected):
    assert threads(cpus) == expected
