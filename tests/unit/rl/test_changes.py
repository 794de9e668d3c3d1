"""People's orders to a stage that runs, over fakes: pauses, checkpoints, and keys changed between two steps."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from support.rl_fakes import PowerCut, World
from support.rl_stage import control, session, stage, without_times

from configs.stages import RlStage
from halyard.errors import ConfigError, Interrupted
from halyard.runs.folder import RunFolder
from halyard.runs.orders import Verb, give
from rl.changes import check
from rl.loop import train
from rl.session import RlSession

KEY = "optimizer.learning_rate"


def told(folder: Path, *kinds: str) -> list[dict[str, Any]]:
    return [event for event in RunFolder(folder).events() if event["event"] in kinds]


def at(orders: dict[int, list[tuple[Verb, str, Any]]], folder: Path) -> Any:
    """A listener that gives orders after steps."""

    def progress(step: int, total: int, figures: object) -> None:
        for verb, key, value in orders.get(step, ()):
            give(folder, verb, who="ops", why="a test", stage="rl" if key else "", key=key, value=value)

    return progress


async def run(folder: Path, recipe: RlStage, orders: dict[int, list[tuple[Verb, str, Any]]], **parts: Any) -> RlSession:
    folder.mkdir(exist_ok=True)
    with RunFolder(folder).lock():
        world = parts.pop("world", World())
        watched = control(folder, recipe)
        live = session(folder, world, control=watched, progress=at(orders, folder), **parts)
        await train(recipe, live)
    return live


async def test_a_changed_key_holds_from_the_next_step_on_and_is_written_down(tmp_path: Path) -> None:
    whole = await run(tmp_path / "whole", stage(), {})
    live = await run(tmp_path / "changed", stage(), {2: [("set", KEY, 4e-6)]})
    rates = [line["learning_rate"] for line in live.folder.metrics()]
    assert rates == [0.5, 0.5, 2.0, 2.0]
    before, after = whole.folder.metrics(), live.folder.metrics()
    assert [without_times(line) for line in before[:2]] == [without_times(line) for line in after[:2]]
    assert await whole.learner.checksums() != await live.learner.checksums()
    (change,) = told(tmp_path / "changed", "changed")
    assert {key: change[key] for key in ("stage", "step", "key", "old", "new", "who", "why")} == {
        "stage": "rl",
        "step": 2,
        "key": KEY,
        "old": 1e-6,
        "new": 4e-6,
        "who": "ops",
        "why": "a test",
    }


@pytest.mark.parametrize("dies_at", [60, 90])
async def test_a_resumed_run_makes_its_changes_again_and_ends_with_the_same_bits(tmp_path: Path, dies_at: int) -> None:
    orders: dict[int, list[tuple[Verb, str, Any]]] = {
        1: [("set", KEY, 2e-6)],
        3: [("set", "sampling.temperature", 0.7), ("set", "rewards.terms.0.weight", 0.4)],
    }
    recipe = stage(steps=5, checkpoint={"every": 2})
    whole = await run(tmp_path / "whole", recipe, orders)
    folder = tmp_path / "dying"
    with pytest.raises(PowerCut):
        await run(folder, recipe, orders, world=World(dies_at=dies_at))
    made = {change["key"] for change in told(folder, "changed")}
    again = {step: [one for one in given if one[1] not in made] for step, given in orders.items()}
    resumed = await run(folder, recipe, again)
    lines = [[without_times(line) for line in one.folder.metrics()] for one in (whole, resumed)]
    assert lines[0] == lines[1]
    assert await whole.learner.checksums() == await resumed.learner.checksums()
    assert len(told(folder, "changed")) == 3


async def test_a_pause_is_a_checkpoint_and_holds_until_it_is_over(tmp_path: Path) -> None:
    folder, held = tmp_path / "run", asyncio.Event()
    recipe = stage(checkpoint={"every": 100})

    async def end_it() -> None:
        while not told(folder, "paused"):
            await asyncio.sleep(0.01)
        latest = RunFolder(folder).path / "checkpoint-000001"
        assert latest.is_dir()
        await asyncio.sleep(0.3)
        assert not told(folder, "unpaused")
        held.set()
        give(folder, "set", who="ops", stage="rl", key=KEY, value=3e-6)
        give(folder, "resume", who="ops")

    live, _ = await asyncio.gather(run(folder, recipe, {1: [("pause", "", None)]}), end_it())
    assert held.is_set()
    assert [line["learning_rate"] for line in live.folder.metrics()] == [0.5, 1.5, 1.5, 1.5]
    kinds = [event["event"] + event.get("verb", "") for event in told(folder, "order", "paused", "unpaused", "changed")]
    assert kinds == ["orderpause", "paused", "orderresume", "unpaused", "changed"]
    assert not list((folder / "orders").iterdir())


async def test_a_run_is_stopped_while_it_is_paused(tmp_path: Path) -> None:
    stop = asyncio.Event()
    folder = tmp_path / "run"

    async def end_it() -> None:
        while not told(folder, "paused"):
            await asyncio.sleep(0.01)
        stop.set()

    with pytest.raises(Interrupted, match="after step 2 of 4"):
        await asyncio.gather(run(folder, stage(), {2: [("pause", "", None)]}, stop=stop), end_it())


async def test_a_checkpoint_now(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    live = await run(tmp_path, stage(checkpoint={"every": 100}), {2: [("checkpoint", "", None)]}, events=events)
    assert [event["step"] for event in events if event["kind"] == "checkpoint"] == [2, 4]
    assert len(live.folder.metrics()) == 4


async def test_what_cannot_be_is_refused_and_the_run_goes_on(tmp_path: Path) -> None:
    orders: list[tuple[Verb, str, Any]] = [
        ("set", "algorithm.kl_coef", 0.1),
        ("set", "steps", 9),
        ("set", KEY, "much"),
        ("set", "sampling.temperature", 0),
    ]
    live = await run(tmp_path, stage(), {1: orders})
    assert len(live.folder.metrics()) == 4
    assert not told(tmp_path, "changed")
    reasons = [event["why"] for event in told(tmp_path, "order_refused")]
    assert ["no reference" in reasons[0], "steps of rl cannot be changed" in reasons[1]] == [True, True]
    assert "expected a number" in reasons[2]
    assert "greedy" in reasons[3]


@pytest.mark.parametrize("max_staleness", [1, 2])
async def test_no_step_trains_on_answers_of_two_temperatures(tmp_path: Path, max_staleness: int) -> None:
    asked: list[tuple[str, float]] = []
    recipe = stage(steps=8, max_staleness=max_staleness)
    world = World()
    folder = tmp_path / "run"
    folder.mkdir()
    with RunFolder(folder).lock():
        live = session(
            folder,
            world,
            control=control(folder, recipe),
            progress=at({2: [("set", "sampling.temperature", 0.5)]}, folder),
        )
        generate = live.engine.generate

        async def noted(request: Any) -> Any:
            asked.append((request.id, request.temperature))
            return await generate(request)

        live.engine.generate = noted  # type: ignore[method-assign]
        await train(recipe, live)
    temperature = {int(name.split("@")[1]): value for name, value in asked if "@" in name}
    by_step: dict[int, set[float]] = {}
    for one in live.folder.read_rollouts():
        if one.state == "trained":
            by_step.setdefault(one.step, set()).add(temperature[one.occurrence])
    assert all(len(found) == 1 for found in by_step.values())
    first = min(step for step, found in by_step.items() if found == {0.5})
    assert first == 3 + max_staleness
    lines = live.folder.metrics()
    assert max(line["staleness_max"] for line in lines[first:]) == max_staleness  # it overlaps again
    assert all(line["drift"] < 1e-6 for line in lines if line["staleness_max"] == 0)


async def test_staleness_is_lowered_and_raised_while_the_stage_runs(tmp_path: Path) -> None:
    live = await run(tmp_path, stage(steps=8), {2: [("set", "max_staleness", 1)], 5: [("set", "max_staleness", 0)]})
    assert [line["staleness_max"] for line in live.folder.metrics()] == [0, 0, 0, 1, 1, 1, 0, 0]


def test_a_reference_that_was_kept_lets_its_weight_be_changed() -> None:
    begun = stage(algorithm={"preset": "grpo"})
    check(begun, stage(algorithm={"preset": "grpo", "kl_coef": 0.2}))
    with pytest.raises(ConfigError, match="no reference to pull towards was kept"):
        check(stage(), stage(algorithm={"kl_coef": 0.2}))


async def test_an_order_to_a_run_that_does_not_go_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no process drives it"):
        give(tmp_path, "pause", who="ops")


def test_what_was_asked_of_a_driver_that_is_gone_does_not_hold(tmp_path: Path) -> None:
    run_folder = RunFolder(tmp_path)
    with run_folder.lock():
        give(tmp_path, "pause", who="ops")
        give(tmp_path, "set", who="ops", stage="rl", key=KEY, value=1e-5)
    lock = tmp_path / "lock"
    orders = sorted((tmp_path / "orders").iterdir())
    old = json.loads(orders[0].read_text())
    with run_folder.lock():
        old["time"] = lock.stat().st_mtime - 60
        orders[0].write_text(json.dumps(old))
        watched = control(tmp_path)
        watched.look()
        assert watched.pause is None
    assert [event["why"] for event in told(tmp_path, "order_refused")] == ["the run had ended before it was taken"]
    assert len(list((tmp_path / "orders").iterdir())) == 1  # the change still holds
