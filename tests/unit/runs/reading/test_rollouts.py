"""Queries of rollouts, against a plain walk through all of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from support.recipes_for_tests import written

from configs.load import load_recipe
from halyard.data.drawing import drawing
from halyard.data.types import ImageRef, Message, Prompt, Rollout, Verdict, VersionSpan
from halyard.errors import ConfigError
from halyard.runs.folder import RunFolder
from halyard.runs.reading import rollouts
from halyard.runs.reading.rollouts import RolloutQuery, RolloutRow, find_rollouts, open_prompt_image, read_group
from halyard.runs.rollouts import RolloutRecord, record

STEPS, PROMPTS, SIZE = 5, 3, 4


def png(colour: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def made(step: int, prompt: int, index: int) -> RolloutRecord:
    occurrence = step * PROMPTS + prompt
    images = (ImageRef(uri=png("red")), ImageRef(drawing=drawing([], width=8, height=8))) if prompt == 0 else ()
    asked = Prompt(
        id=f"q{occurrence % 4}",
        messages=(Message(role="user", text=f"How much is {occurrence}?", images=images),),
        answer="5",
        task="math" if prompt else "exact",
        family=f"family{prompt}",
        thinking=prompt == 1,
    )
    rollout = Rollout(
        prompt_id=asked.id,
        index=index,
        prompt_token_ids=(1,),
        response_token_ids=tuple(range(index + 1)),
        rollout_logprobs=tuple(-0.5 for _ in range(index + 1)),
        text=f"Straße {step}.{index}",
        finish_reason="stop",
        spans=(VersionSpan(start=0, stop=1, policy_version=step - 1),),
        seed=0,
    )
    failed = index == 3
    verdict = Verdict(reward=None if failed else index / 2, status="failed" if failed else "ok", components={"a": 1.0})
    return record(asked, rollout, verdict, step=step, occurrence=occurrence, state="failed" if failed else "trained")


ALL = [made(step, p, i) for step in range(1, STEPS + 1) for p in range(PROMPTS) for i in range(SIZE)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = RunFolder.create(tmp_path, "mine", load_recipe(written(tmp_path)).recipe)
    stage = folder.stage(2, "rl")
    for step in range(1, STEPS + 1):
        stage.write_rollouts(step, [one for one in ALL if one.step == step])
    return folder.path


def key(one: RolloutRecord | RolloutRow) -> tuple[int, int, int]:
    return one.step, one.occurrence, one.index


def pages(run: Path, query: RolloutQuery) -> list[tuple[int, int, int]]:
    """What a client has after it went on to the end."""
    found, after = [], None
    while True:
        page = find_rollouts(run, replace(query, after=after))
        assert len(page.rollouts) <= query.limit
        found += map(key, page.rollouts)
        if (after := page.next) is None:
            return found


QUERIES: list[tuple[RolloutQuery, Callable[[RolloutRecord], bool]]] = [
    (RolloutQuery(), lambda one: True),
    (RolloutQuery(stage="rl", first_step=2, last_step=4), lambda one: 2 <= one.step <= 4),
    (RolloutQuery(min_reward=0.5), lambda one: one.reward is not None and one.reward >= 0.5),
    (RolloutQuery(max_reward=0.0), lambda one: one.reward == 0),
    (RolloutQuery(min_reward=0.25, max_reward=0.75), lambda one: one.reward == 0.5),
    (RolloutQuery(task="exact"), lambda one: one.task == "exact"),
    (RolloutQuery(family="family2", state="failed"), lambda one: one.family == "family2" and one.reward is None),
    (RolloutQuery(thinking=True), lambda one: one.thinking),
    (RolloutQuery(prompt_id="q3"), lambda one: one.prompt_id == "q3"),
    (RolloutQuery(text="STRASSE 3.1"), lambda one: one.text == "Straße 3.1"),
    (RolloutQuery(text="much is 7?"), lambda one: one.occurrence == 7),
    (RolloutQuery(text="nowhere"), lambda one: False),
]


@pytest.mark.parametrize(("query", "wanted"), QUERIES)
@pytest.mark.parametrize("limit", [1, 3, 50])
@pytest.mark.parametrize("oldest_first", [False, True])
def test_pages_hold_what_is_asked_for_once_and_in_order(
    run: Path, query: RolloutQuery, wanted: Callable[[RolloutRecord], bool], limit: int, oldest_first: bool
) -> None:
    found = pages(run, replace(query, limit=limit, oldest_first=oldest_first))
    steps = range(1, STEPS + 1) if oldest_first else range(STEPS, 0, -1)
    assert found == [key(one) for step in steps for one in ALL if one.step == step and wanted(one)]


def test_a_page_looks_at_so_many_files_and_no_more(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "MOST_FILES", 2)
    page = find_rollouts(run, RolloutQuery(text="Straße 1.0"))
    assert (page.rollouts, page.next, page.searched) == ((), "3:0", (4, 5))
    assert pages(run, RolloutQuery(text="Straße 1.0")) == [key(one) for one in ALL if one.text == "Straße 1.0"]


def test_a_row_says_what_the_record_says(run: Path) -> None:
    (row,) = find_rollouts(run, RolloutQuery(first_step=2, last_step=2, task="exact", min_reward=1)).rollouts
    assert (row.stage, row.step, row.tokens, row.images, row.components) == ("rl", 2, 3, 2, {"a": 1.0})
    assert (row.question, row.reference, row.version_oldest) == ("How much is 6?", "5", 1)


def test_a_group_has_the_best_answer_first_and_one_without_reward_last(run: Path) -> None:
    group = read_group(run, "rl", 2, 6)
    assert [one.reward for one in group] == [1.0, 0.5, 0.0, None]
    assert list(group[0].rollout_logprobs) == [-0.5, -0.5, -0.5]
    with pytest.raises(ConfigError, match="step 2 of rl has no rollouts of occurrence 99"):
        read_group(run, "rl", 2, 99)
    with pytest.raises(ConfigError, match="there are those of steps 1 to 5"):
        read_group(run, "rl", 6, 6)


def test_images_are_kept_once_and_found_where_the_run_lies_now(run: Path, tmp_path: Path) -> None:
    assert len(list(run.glob("stages/02-rl/images/*"))) == 1
    moved = run.rename(tmp_path / "moved")
    assert open_prompt_image(moved, "rl", 2, 6, 0).getpixel((0, 0)) == (255, 0, 0)
    assert open_prompt_image(moved, "rl", 2, 6, 1).size == (8, 8)
    with pytest.raises(ConfigError, match="has 2 images, and no number 2"):
        open_prompt_image(moved, "rl", 2, 6, 2)


@pytest.mark.parametrize("after", ["x", "3", "3:x", "-1:0", "9" * 50 + ":0"])
def test_a_place_that_no_page_gave_is_refused(run: Path, after: str) -> None:
    with pytest.raises(ConfigError, match="is no place to go on from"):
        find_rollouts(run, RolloutQuery(after=after))


def test_a_run_without_rollouts_has_none(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "mine", load_recipe(written(tmp_path)).recipe)
    assert find_rollouts(folder.path, RolloutQuery()).rollouts == ()
