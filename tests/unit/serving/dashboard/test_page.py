"""The page as someone sees it who opens it, turns to its sections and presses its buttons."""

from __future__ import annotations

from pathlib import Path

import pytest
from nicegui import ElementFilter, ui
from nicegui.testing import User
from support.watched_run import watched_run

from halyard.runs.folder import RunFolder
from halyard.runs.orders import pending
from serving.keys import Keys
from serving.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONSUMER, OPERATOR = "sk-consumer-0123456789", "sk-operator-0123456789"


async def sees(user: User, *contents: str) -> None:
    for content in contents:
        await user.should_see(content, retries=100)


async def turn(user: User, section: str) -> None:
    """Turn to a section, as a click at its tab does."""
    with user:
        next(iter(ElementFilter(kind=ui.tabs))).set_value(section)


def html(user: User) -> str:
    with user:
        return "".join(element.content for element in ElementFilter(kind=ui.html))


async def test_the_first_look_shows_where_the_run_is_and_how_it_does(visitor) -> None:
    user = visitor()
    await user.open("/")
    await sees(user, "mine", "finished", "1. warm-up", "2. rl", "RL · 3/2", "rl, step 3 of 2", "from 0.250", "0.750")
    await sees(user, "A step takes 3.0 s; 67% of it the learner waits for answers, so the engines decide the pace.")
    await sees(user, "made from the recipe small", "snapshot 02-rl", "same tokens", "12 tokens of 2 prompts")


async def test_curves_have_the_figures_of_the_run(visitor) -> None:
    user = visitor()
    await user.open("/")
    await turn(user, "curves")
    await sees(user, "Engine-learner drift", "Time by phase", "Staleness", "KL divergence")
    with user:
        drawn = [chart.options["series"] for chart in ElementFilter(kind=ui.echart) if chart.options]
    reward = next(series for series in drawn if series[0]["name"].startswith("reward"))
    assert {line["name"]: line["data"] for line in reward} == {
        "reward": [[1, 0.25], [2, 0.5], [3, 0.75]],
        "answer": [[1, 0.2], [2, 0.4], [3, 0.6]],
        "format": [[1, 1], [2, 1], [3, 1]],
    }
    phases = next(series for series in drawn if series[0]["name"] == "wait")
    assert [line["name"] for line in phases] == ["wait", "forward", "backward"]


async def test_rollouts_show_the_image_the_verdicts_and_the_best_answer_first(visitor) -> None:
    user = visitor()
    await user.open("/")
    await turn(user, "rollouts")
    await sees(user, "2 prompts · 4 answers", "How much is 2+6?", "answer: six is not 5", "policy 2", "advantage +1.00")
    assert '<img src="data:image/png;base64,' in html(user)
    with user:
        shown = [one.text for one in ElementFilter(kind=ui.label) if one.text in ("five <b>", "six")]
    assert shown == ["five <b>", "six"]


async def test_rollouts_are_found_by_text_in_all_steps(visitor) -> None:
    user = visitor()
    await user.open("/")
    await turn(user, "rollouts")
    await sees(user, "step 3 of 3")
    with user:
        next(iter(ElementFilter(kind=ui.checkbox, content="in all steps"))).set_value(True)
        find = next(one for one in ElementFilter(kind=ui.input))
        find.set_value("2+3?")
    await sees(user, "1 prompts · 2 answers", "How much is 2+3?")


async def test_an_operator_promotes_and_rolls_back_and_is_named(visitor, service: Service) -> None:
    user = visitor()
    await user.open("/")
    await turn(user, "snapshots")
    await sees(user, "01-sft", "02-rl", "@latest", "Nothing has been promoted yet.")
    for row in (1, 0):  # the newest version comes first
        with user:
            button = list(ElementFilter(kind=ui.button, content="Promote"))[row]
        user_presses(user, button)
        await sees(user, "why (kept with the change)")
        with user:
            confirm = list(ElementFilter(kind=ui.button, content="Promote"))[-1]
        user_presses(user, confirm)
        await sees(user, "mine@stable leads to " + ("01-sft" if row else "02-rl") + " (100%)")
    await sees(user, "Roll back to 01-sft")
    user.find("Roll back to 01-sft").click()
    await sees(user, "New requests to mine@stable go to 01-sft; those in flight end on the version they began with.")
    with user:
        confirm = next(one for one in ElementFilter(kind=ui.button) if one.text == "Roll back")
    user_presses(user, confirm)
    await sees(user, "mine@stable leads to 01-sft again")
    stable = service.aliases.get("mine@stable")
    assert stable is not None
    assert [(change.verb, change.who) for change in stable.changes] == [
        ("promote", "local"),
        ("promote", "local"),
        ("rollback", "local"),
    ]


async def test_an_operator_pauses_a_run_that_goes_on(visitor, folder: Path) -> None:
    run = RunFolder(watched_run(folder, "going"))
    user = visitor()
    with run.lock():
        run.event("stage_started", stage="rl")
        await user.open("/")
        with user:
            next(iter(ElementFilter(kind=ui.select))).set_value("going")
        await sees(user, "running", "Checkpoint", "Change a key")
        user.find("Pause").click()
        await sees(user, "It ends the step it is in, and waits with its engines warm.")
        with user:
            confirm = list(ElementFilter(kind=ui.button, content="Pause"))[-1]
        user_presses(user, confirm)
        await sees(user, "going was asked to pause; it is running")
        ((_, order),) = pending(run.path, ["pause"])
        assert (order.verb, order.who) == ("pause", "local")


async def test_engines_say_what_they_hold(visitor) -> None:
    user = visitor()
    await user.open("/")
    await turn(user, "engines")
    await sees(user, "engine-0", "engine-1", "No process drives this run now.", "restarts of engines")


async def test_where_there_are_keys_nothing_is_shown_without_one(visitor, key_file: Path) -> None:
    user = visitor(Keys(key_file))
    await user.open("/")
    await sees(user, "API key")
    await user.should_not_see("mine")
    gives(user, "sk-of-nobody-0123456789")
    await user.should_not_see("mine", retries=15)


async def test_a_consumer_reads_and_changes_nothing(visitor, key_file: Path) -> None:
    user = visitor(Keys(key_file))
    await signed_in(user, CONSUMER)
    await sees(user, "reader", "2. rl")
    await user.should_not_see("Start a run")
    await turn(user, "snapshots")
    await sees(user, "The key reader may look, and not change what is served.")
    with user:
        assert not list(ElementFilter(kind=ui.button, content="Promote"))
    await turn(user, "engines")
    await sees(user, "the key reader lacks the scope operate, which this needs")


async def test_a_key_that_is_taken_away_ends_its_page(visitor, key_file: Path) -> None:
    keys = Keys(key_file)
    user = visitor(keys)
    await signed_in(user, OPERATOR)
    await sees(user, "ops", "2. rl")
    lines = key_file.read_text()
    key_file.write_text(lines.splitlines()[0] + "\n")
    try:
        await sees(user, "API key")
        await user.should_not_see("2. rl")
    finally:
        key_file.write_text(lines)


async def signed_in(user: User, key: str) -> None:
    await user.open("/")
    await sees(user, "API key")
    gives(user, key)
    await sees(user, "Sign out")


def gives(user: User, key: str) -> None:
    user.find(kind=ui.input).type(key).trigger("keydown.enter")


def user_presses(user: User, button: ui.button) -> None:
    from nicegui.testing import UserInteraction

    UserInteraction(user, {button}, None).click()
