"""The whole loop over fakes: bounds, order, determinism, refills, crashes at every await, stops."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.rl_fakes import FakeEngine, FakeScorer, PowerCut, World
from support.rl_stage import rows, session, stage, without_times

from halyard.data.mixture import Mixture
from halyard.data.sources import Dataset
from halyard.data.types import Message, Row, Verdict
from halyard.errors import EngineError, Interrupted, PreflightError, RewardError
from halyard.runs.stage import StageFolder
from rl.loop import train
from rl.session import RlSession


def slow(seed: int, most: int = 12) -> World:
    random = Random(seed)
    return World(latency=lambda: random.randrange(most))


def ledger(folder: StageFolder) -> dict[int, list]:
    latest = folder.latest_checkpoint()
    assert latest is not None
    record = json.loads((latest[1] / "trainer.json").read_text())
    return {int(number): entry for number, entry in record["ledger"].items()}


def check_accounts(folder: StageFolder, *, steps: int, per_step: int) -> None:
    """No prompt is lost, none is trained twice, and disk and ledger tell the same story."""
    entries = ledger(folder)
    assert sorted(entries) == list(range(len(entries)))
    states = Counter(state for _, state, _, _ in entries.values())
    assert set(states) <= {"trained", "dropped", "failed"}
    assert states["trained"] == steps * per_step
    assert [line["step"] for line in folder.metrics()] == list(range(1, steps + 1))
    by_step: dict[int, set[int]] = {}
    for one in folder.read_rollouts():
        by_step.setdefault(one.occurrence, set()).add(one.step)
        name, state, version, _ = entries[one.occurrence]
        assert name == one.prompt_id
        assert one.state in (state, "dropped", "failed")
        assert version in (one.step, None)
    assert sorted(by_step) == sorted(number for number, entry in entries.items() if "too long" not in entry[3])
    assert all(len(steps_of) == 1 for steps_of in by_step.values())


async def run(folder: Path, world: World, **parts: object) -> RlSession:
    live = session(folder, world, **parts)
    await train(parts.pop("stage", stage()), live)  # type: ignore[arg-type]
    return live


@given(seed=st.integers(0, 10**6), max_staleness=st.integers(0, 3), dull=st.sampled_from([0.0, 0.3]))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_staleness_is_bounded_whatever_takes_how_long(
    tmp_path_factory: pytest.TempPathFactory, seed: int, max_staleness: int, dull: float
) -> None:
    folder, world = tmp_path_factory.mktemp("stage"), slow(seed)
    live = session(folder, world, scorer=FakeScorer(world, dull=dull))
    asyncio.run(train(stage(max_staleness=max_staleness), live))
    lines = live.folder.metrics()
    assert all(line["staleness_max"] <= max_staleness for line in lines)
    if not dull:
        assert max(line["staleness_max"] for line in lines) == max_staleness
    trained = [one for one in live.folder.read_rollouts() if one.state == "trained"]
    assert all(0 <= one.step - 1 - one.version_oldest <= max_staleness for one in trained)
    order = list(dict.fromkeys(one.occurrence for one in trained))
    assert order == sorted(order)
    check_accounts(live.folder, steps=4, per_step=3)


async def test_on_policy_is_the_same_in_every_run_whatever_takes_how_long(tmp_path: Path) -> None:
    found = []
    for seed in range(4):
        world = slow(seed)
        live = session(tmp_path / str(seed), world, scorer=FakeScorer(world, dull=0.4))
        await train(stage(), live)
        lines = [without_times(line) for line in live.folder.metrics()]
        rollouts = sorted(
            (one.occurrence, one.index, one.seed, one.text, one.state) for one in live.folder.read_rollouts()
        )
        found.append((lines, rollouts, await live.learner.checksums()))
    assert all(one == found[0] for one in found)
    assert sum(line["prompts_dropped"] for line in found[0][0]) > 0


async def test_groups_without_signal_are_refilled_in_waves_of_what_is_missing(tmp_path: Path) -> None:
    world = slow(1)
    live = session(tmp_path, world, scorer=FakeScorer(world, dull=0.5))
    await train(stage(steps=2), live)
    first = [one for one in live.folder.read_rollouts() if one.step == 1]
    dropped = {one.occurrence for one in first if one.state == "dropped"}
    trained = {one.occurrence for one in first if one.state == "trained"}
    assert len(trained) == 3
    assert trained | dropped == set(range(max(trained) + 1))  # not one prompt more than was needed
    assert {one.why for one in first if one.state == "dropped"} == {"no signal: every reward is 0"}
    line = live.folder.metrics()[0]
    assert line["groups_without_signal"] == line["prompts_dropped"] == len(dropped)
    # rewards are reported over all that was sampled, not over what the filter let through
    assert line["reward"] == pytest.approx(sum(one.reward or 0 for one in first) / len(first))


async def test_a_step_without_signal_is_given_up(tmp_path: Path) -> None:
    world = World()
    live = session(tmp_path, world, scorer=FakeScorer(world, dull=1.0))
    with pytest.raises(RewardError, match=r"step 1: 6 prompts .* no signal: every reward is 0 \(6 times\)"):
        await train(stage(max_prompts_tried=2.0), live)


async def test_equal_rewards_are_trained_on_when_the_algorithm_keeps_them(tmp_path: Path) -> None:
    world = World()
    live = session(tmp_path, world, scorer=FakeScorer(world, dull=1.0))
    await train(stage(steps=1, algorithm={"preset": "grpo"}), live)
    assert live.folder.metrics()[0]["groups_without_signal"] == 3
    assert live.folder.metrics()[0]["reference_kl"] == pytest.approx(0, abs=1e-12)


async def test_rollouts_that_were_not_judged_are_left_out_of_their_group(tmp_path: Path) -> None:
    world = World()
    live = session(tmp_path, world, scorer=FakeScorer(world, fails=lambda index: index == 3))
    await train(stage(steps=1), live)
    assert {len(batch) for batch in live.learner.learnt[-1:]} == {9}  # type: ignore[attr-defined]
    states = Counter((one.index, one.state) for one in live.folder.read_rollouts() if one.state != "dropped")
    assert states[(3, "failed")] == 3


async def test_groups_that_could_not_be_judged_fail_and_are_replaced(tmp_path: Path) -> None:
    world = World()
    live = session(tmp_path, world, scorer=FakeScorer(world, fails=lambda index: index > 0))
    with pytest.raises(
        RewardError, match=r"3 of 4 answers could not be judged: the judge is out of reach \(30 times\)"
    ):
        await train(stage(), live)


async def test_a_scorer_that_gives_up_ends_the_run(tmp_path: Path) -> None:
    class Broken(FakeScorer):
        async def score(self, samples: Sequence) -> list[Verdict]:
            if world.points > 40:
                raise RewardError("200 of the last 256 verdicts failed")
            return await super().score(samples)

    world = World()
    with pytest.raises(RewardError, match="200 of the last 256"):
        await train(stage(), session(tmp_path, world, scorer=Broken(world)))


async def test_long_prompts_fail_alone(tmp_path: Path) -> None:
    long = Row(id="long", messages=(Message(role="user", text="what is " * 9),), answer="1")
    prompts = Mixture(Dataset(sources=(rows(), (long,)), weights=(2.0, 1.0)), seed=5)
    live = session(tmp_path, World(), prompts=prompts, window=40)
    await train(stage(), live)
    check_accounts(live.folder, steps=4, per_step=3)
    failed = {name: why for name, state, _, why in ledger(live.folder).values() if state == "failed"}
    assert set(failed) == {"long"}
    assert failed["long"].startswith("too long: 74 prompt tokens and 4 for the response")
    assert sum(line["prompts_failed"] for line in live.folder.metrics()) == 6


async def test_images_that_never_fit_are_no_images(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="no prompt with an image can be used: too long"):
        await train(stage(), session(tmp_path, World(), window=17))


@pytest.mark.parametrize("max_staleness", [0, 1])
async def test_a_crash_at_any_await_loses_nothing_and_trains_nothing_twice(tmp_path: Path, max_staleness: int) -> None:
    recipe = stage(max_staleness=max_staleness)
    world = slow(0)
    whole = session(tmp_path / "whole", world, scorer=FakeScorer(world, dull=0.3))
    await train(recipe, whole)
    check_accounts(whole.folder, steps=4, per_step=3)
    lines = [without_times(line) for line in whole.folder.metrics()]
    for dies_at in range(1, world.points, 3):
        random = Random(dies_at)
        dying = World(latency=lambda random=random: random.randrange(5), dies_at=dies_at)
        first = session(tmp_path / str(dies_at), dying, scorer=FakeScorer(dying, dull=0.3))
        with pytest.raises(PowerCut):
            await train(recipe, first)
        again = slow(dies_at)
        resumed = session(tmp_path / str(dies_at), again, scorer=FakeScorer(again, dull=0.3))
        await train(recipe, resumed)
        check_accounts(resumed.folder, steps=4, per_step=3)
        if max_staleness == 0:
            assert [without_times(line) for line in resumed.folder.metrics()] == lines
            assert await resumed.learner.checksums() == await whole.learner.checksums()


async def test_what_was_scored_before_a_checkpoint_is_not_sampled_again(tmp_path: Path) -> None:
    recipe = stage(max_staleness=2, checkpoint={"every": 1})
    world = World(latency=lambda: 0)
    first = session(tmp_path, world)
    first.stop.set()
    with pytest.raises(Interrupted):
        await train(recipe, first)
    latest = first.folder.latest_checkpoint()
    assert latest is not None
    record = json.loads((latest[1] / "trainer.json").read_text())
    scored = [entry["occurrence"] for entry in record["slots"] if entry["group"] is not None]
    assert scored
    resumed = session(tmp_path, World())
    await train(recipe, resumed)
    sampled = {int(request.split("@")[1]) for request in resumed.engine.requests if "@" in request}  # type: ignore[attr-defined]
    assert not sampled & set(scored)
    check_accounts(resumed.folder, steps=4, per_step=3)


async def test_a_stop_finishes_the_step_and_the_stage_goes_on_from_there(tmp_path: Path) -> None:
    whole = session(tmp_path / "whole", World())
    await train(stage(), whole)
    first = session(tmp_path / "stopped", World())
    first = session(tmp_path / "stopped", World(), progress=lambda step, total, figures: first.stop.set())
    with pytest.raises(Interrupted, match="after step 1 of 4"):
        await train(stage(), first)
    assert [line["step"] for line in first.folder.metrics()] == [1]
    resumed = session(tmp_path / "stopped", World())
    await train(stage(), resumed)
    assert await resumed.learner.checksums() == await whole.learner.checksums()


@pytest.mark.parametrize("max_staleness", [0, 2])
async def test_a_dead_engine_is_revived_once_for_all_its_requests(tmp_path: Path, max_staleness: int) -> None:
    whole = session(tmp_path / "whole", World())
    await train(stage(max_staleness=max_staleness), whole)
    world, events = slow(3), []
    live = session(tmp_path / "dying", world, engine=FakeEngine(world, dies=3), events=events)
    await train(stage(max_staleness=max_staleness), live)
    assert [event["kind"] for event in events].count("engine_restart") == 1
    check_accounts(live.folder, steps=4, per_step=3)
    if max_staleness == 0:
        assert await live.learner.checksums() == await whole.learner.checksums()


async def test_an_engine_that_dies_too_often_ends_the_run(tmp_path: Path) -> None:
    async def refuse() -> None:
        raise EngineError("cluster.engine_restarts allows 0 restarts.")

    live = session(tmp_path, World(), engine=FakeEngine(World(), dies=1), restart_engine=refuse)
    with pytest.raises(EngineError, match=r"engine-0 died .*allows 0"):
        await train(stage(), live)


async def test_mini_batches_share_the_policy_that_the_step_began_with(tmp_path: Path) -> None:
    live = session(tmp_path, World())
    await train(
        stage(steps=1, prompts_per_step=4, algorithm={"preset": "dapo", "overlong": "keep", "updates_per_step": 2}),
        live,
    )
    first, second = live.learner.learnt[-2:]  # type: ignore[attr-defined]
    for batch in (first, second):
        assert sum(one.weights.sum() for one in batch) == pytest.approx(1)
        for one in batch:
            # old log-probs are the learner's before the first of the two: those the rollouts were drawn with
            assert one.old_logprobs[one.loss_mask] == pytest.approx(one.rollout_logprobs[one.loss_mask], abs=1e-6)
    line = live.folder.metrics()[0]
    assert line["ratio_deviation"] > 1e-6
    assert line["seconds"]["old_logprobs"] > 0
    assert line["seconds"]["reference_logprobs"] == 0


@pytest.mark.parametrize("max_staleness", [0, 1])
async def test_an_engine_that_keeps_old_weights_is_told(tmp_path: Path, max_staleness: int) -> None:
    events: list[dict] = []
    live = session(tmp_path, World(), events=events)
    live.engine.deaf_from = 3  # type: ignore[attr-defined]
    await train(stage(max_staleness=max_staleness, drift_warning=1e-4), live)
    told = [event for event in events if event["kind"] == "drift"]
    assert [event["step"] for event in told] == ([4] if max_staleness == 0 else [3, 4])
    assert all(event["mean"] > 1e-4 for event in told)
    coverage = next(event for event in events if event["kind"] == "coverage")
    assert coverage["states"]["trained"] == 12


async def test_the_age_of_rollouts_is_no_drift_of_the_engine(tmp_path: Path) -> None:
    live = session(tmp_path, World())
    await train(stage(max_staleness=1), live)
    last = live.folder.metrics()[-1]
    assert last["drift"] > 1e-4
    assert last["engine_drift"] < 1e-6
