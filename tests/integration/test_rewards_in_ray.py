"""The grader inside Ray's actors, threaded and asynchronous: where alarms do not work, deadlines hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from support.grading_actors import Asynchronous, Threaded

BOMB = "+".join(rf"\sin^{{{i}}}({i}x)\cos^{{{i}}}({i}y)" for i in range(2, 30))
ASKED = [("\\{x+1, 2\\}", "\\{2, 1+x\\}"), (BOMB, "5"), ("9^{9^{9^9}}", "5"), ("\\frac{10}{2}", "5")]
EXPECTED = [(1.0, ""), (None, "timeout"), (0.0, ""), (1.0, "")]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    root = Path(__file__).parents[2]
    environment = {"PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "configure_logging": False}
    memory = 100 * 2**20
    ray.init(address="local", num_cpus=2, object_store_memory=memory, runtime_env={"env_vars": environment}, **quiet)
    yield
    ray.shutdown()


@pytest.mark.parametrize("actor", [Asynchronous, Threaded])
def test_verdicts_in_an_actor_are_those_of_the_desk(actor: type[Any]) -> None:
    live = ray.remote(actor).options(num_cpus=0, max_concurrency=2).remote()
    found = ray.get([live.grade.remote(ASKED) for _ in range(2)], timeout=120)
    assert found == [EXPECTED, EXPECTED]
    ray.kill(live)
