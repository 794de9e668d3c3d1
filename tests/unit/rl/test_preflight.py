"""Each fault planted in a whole small run is found, named, and refused; a sound run is left as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.rl_fakes import FakeEngine, FakeLearner, FakeRenderer, FakeScorer, World
from support.rl_stage import rows, session, stage

from halyard.data.mixture import Mixture
from halyard.data.sources import Dataset
from halyard.data.types import Row, Verdict
from halyard.errors import PreflightError
from rl.preflight import Fault, Trial, preflight, same_tokens
from rl.probes import sample

WORLD = World()


async def refusal(folder: Path, recipe: dict[str, Any] | None = None, **parts: Any) -> str:
    with pytest.raises(PreflightError) as refused:
        await preflight(stage(**(recipe or {})), session(folder, WORLD, **parts))
    return str(refused.value)


@pytest.mark.parametrize("direct_share", [0.0, 0.5, 1.0])
async def test_a_sound_run_passes_and_is_left_as_it_was(tmp_path: Path, direct_share: float) -> None:
    live = session(tmp_path, WORLD)
    before, position = await live.learner.checksums(), live.prompts.position
    checks = await preflight(stage(direct_share=direct_share), live)
    assert {check.status for check in checks} == {"ok"}
    assert [check.name for check in checks][-1] == "learns, and tells the engine"
    assert await live.learner.checksums() == before
    assert (live.prompts.position, live.learner.version, live.engine.policy_version) == (position, 0, 0)
    assert list(tmp_path.iterdir()) == []


async def test_a_blind_learner(tmp_path: Path) -> None:
    told = await refusal(tmp_path, learner=FakeLearner(WORLD, blind=True))
    assert "the learner ignores the pixels" in told
    assert "no gradient reaches 1 tensors: vision.eye" in told


async def test_a_blind_engine(tmp_path: Path) -> None:
    told = await refusal(tmp_path, engine=FakeEngine(WORLD, blind=True))
    assert "the engine ignores the pixels" in told
    assert "same log-probs: engine and learner differ" in told


async def test_both_blind_agree_with_each_other_but_do_not_see(tmp_path: Path) -> None:
    told = await refusal(tmp_path, engine=FakeEngine(WORLD, blind=True), learner=FakeLearner(WORLD, blind=True))
    assert "the learner and the engine ignore the pixels" in told
    assert "same log-probs" not in told


async def test_patches_are_no_pieces_where_images_have_a_size_of_their_own(tmp_path: Path) -> None:
    """A place stands for several patches; with as many pieces as patches, too few places would be left."""
    live, recipe = session(tmp_path, WORLD), stage()
    probe = next(one for one in await sample(recipe, live) if one.rendered.images)
    patches = replace(probe.rendered, pixel_values=np.zeros((99, 4), np.float32))
    with pytest.raises(Fault, match="99 pieces of pixels"):
        await same_tokens(Trial(recipe, live, [replace(probe, rendered=patches)]))
    own_size = replace(patches, image_grids=np.array([[9, 11]]))
    assert "tokens of 1 prompts" in await same_tokens(Trial(recipe, live, [replace(probe, rendered=own_size)]))


async def test_a_frozen_tensor(tmp_path: Path) -> None:
    told = await refusal(tmp_path, learner=FakeLearner(WORLD, frozen=["vision.eye"]))
    assert "the step did not change 1 tensors: vision.eye" in told


async def test_a_tensor_that_the_recipe_freezes_is_no_fault(tmp_path: Path) -> None:
    live = session(tmp_path, WORLD, learner=FakeLearner(WORLD, frozen=["vision.eye"]))
    await preflight(stage(optimizer={"freeze": ["vision."]}), live)


async def test_weights_that_do_not_reach_the_engine(tmp_path: Path) -> None:
    told = await refusal(tmp_path, engine=FakeEngine(WORLD, deaf=True))
    assert "after a weight push the engine's log-probs moved by 0.0e+00" in told


async def test_a_shifted_mask_in_the_learner(tmp_path: Path) -> None:
    told = await refusal(tmp_path, learner=FakeLearner(WORLD, shifted=True))
    assert "its mask is shifted or incomplete" in told


async def test_a_shifted_mask_in_the_template(tmp_path: Path) -> None:
    told = await refusal(tmp_path, renderer=FakeRenderer(shifts_mask=True))
    assert "the template's loss mask covers tokens" in told


async def test_a_prefilled_think_tag(tmp_path: Path) -> None:
    told = await refusal(tmp_path, renderer=FakeRenderer(prefills=True))
    assert "the chat template ends the prompt with <think>" in told
    assert "the format reward of the perfect answer" in told


async def test_a_reward_that_pays_anything(tmp_path: Path) -> None:
    class Generous(FakeScorer):
        def _verdict(self, index: int, sample: Any) -> Verdict:
            return Verdict(reward=1.0, components={"answer": 1.0, "format": 1.0})

    told = await refusal(tmp_path, scorer=Generous(WORLD))
    assert r"the answer reward of the wrong answer '<think>" in told


async def test_text_alone_leaves_nothing_untried(tmp_path: Path) -> None:
    """The vision tower gets a picture of the preflight's own when the data has none."""
    texts = tuple(row for row in rows() if not row.messages[0].images)
    live = session(tmp_path, WORLD, prompts=Mixture(Dataset(sources=(texts,), weights=(1.0,)), seed=0))
    checks = await preflight(stage(), live)
    assert {check.status for check in checks} == {"ok"}


async def test_open_questions_have_no_perfect_answer(tmp_path: Path) -> None:
    questions = tuple(Row(id=row.id, messages=row.messages, task="open") for row in rows())
    live = session(tmp_path, WORLD, prompts=Mixture(Dataset(sources=(questions,), weights=(1.0,)), seed=0))
    checks = {check.name: check for check in await preflight(stage(), live)}
    assert checks["perfect answers are paid"].status == "skipped"
