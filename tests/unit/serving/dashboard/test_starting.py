"""Starting a run from the page: what is wrong stands in the dialog before anything starts, what is right is started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nicegui import ElementFilter, ui
from nicegui.testing import User, UserInteraction
from support.recipes_for_tests import written

from halyard.runs.reading.runs import show_run
from serving.errors import Refusal
from serving.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")
Open = Callable[..., User]


def field(user: User, kind: type[Any], label: str) -> Any:
    with user:
        return next(one for one in ElementFilter(kind=kind) if str(one.props.get("label", "")).startswith(label))


def choose(user: User, recipe: str) -> None:
    """Type a recipe that is not in the list, which a browser then adds to it."""
    chosen = field(user, ui.select, "recipe")
    chosen.set_options([*chosen.options, recipe], value=recipe)


def press(user: User) -> None:
    """Press the dialog's own button."""
    with user:
        found = {one for one in ElementFilter(kind=ui.button) if one.text == "Start"}
    UserInteraction(user, found, None).click()


async def opened(visitor: Open) -> User:
    user = visitor()
    await user.open("/")
    await user.should_see("All runs", retries=100)
    user.find("Start a run").click()
    await user.should_see("1. basic-sft", retries=100)
    return user


async def test_what_is_typed_is_checked_at_once_and_its_faults_stand_in_place(visitor: Open) -> None:
    user = await opened(visitor)
    field(user, ui.textarea, "overrides").set_value("verifiable-rl.steps=60\n\n# and a slip\nverifiable-rl.stepz=4")
    await user.should_see("override verifiable-rl.stepz=4: stages[3].stepz is not a known key", retries=100)
    field(user, ui.textarea, "overrides").set_value("verifiable-rl.steps=61")
    await user.should_see("4. verifiable-rl · 61 steps", retries=100)
    await user.should_not_see("is not a known key")
    field(user, ui.input, "name").set_value("mine")
    await user.should_see("mine is there already", retries=100)
    choose(user, "quickstrat.yaml")
    await user.should_see("there is no recipe file quickstrat.yaml", retries=100)


async def test_a_run_is_started_by_whoever_asked_and_the_dialog_stays_open_until_then(
    visitor: Open, service: Service, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run itself is the business of other tests: here it is one that lies there already, or does not start."""
    asked: list[tuple[Any, ...]] = []

    async def start(*about: Any, who: str) -> Any:
        asked.append((*about, who))
        if len(asked) == 1:
            raise Refusal(400, "this machine has 2 cores and the recipe needs 64")
        return show_run(folder / "mine")

    monkeypatch.setattr(service.runs, "start", start)
    user = await opened(visitor)
    recipe = written(folder)
    choose(user, recipe)
    field(user, ui.textarea, "overrides").set_value("seed=7\nrl.steps=1")
    await user.should_see("2. rl · 1 step", retries=100)
    press(user)
    await user.should_see("this machine has 2 cores and the recipe needs 64", retries=100)
    with user:
        (dialog,) = ElementFilter(kind=ui.dialog)
    assert dialog.value
    press(user)
    async with asyncio.timeout(10):
        while dialog.value:
            await asyncio.sleep(0.02)
    assert asked == [(recipe, ["seed=7", "rl.steps=1"], None, "local")] * 2
