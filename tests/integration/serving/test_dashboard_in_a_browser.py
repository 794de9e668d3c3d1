"""The page in a real browser: it loads nothing from elsewhere, fits a phone, and a click does what it says."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect, sync_playwright
from support.served import HeldEngine
from support.serving_process import OPERATOR
from support.watched_run import watched_run

from configs.serving import ServingConfig
from serving.dashboard.front import Front
from serving.dashboard.view import Desk
from serving.gate import Gate
from serving.service import Service

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None,
    reason="no Chromium on this machine: install Debian's package chromium to have the page clicked through; "
    "tests/unit/serving/dashboard covers the same page in process",
)
PATIENCE = 60_000
"""Milliseconds for whatever should come: machines that test are slow."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Tests often run as root in a container, where Chromium's own sandbox does not start.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a page over a finished run, in a thread of this process, with engines that hold and do not answer."""
    root = tmp_path_factory.mktemp("runs")
    run = watched_run(root)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server: list[uvicorn.Server] = []
        thread = threading.Thread(target=lambda: asyncio.run(_serve(run, root / "state", listener, server)))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server[0].should_exit = server[0].force_exit = True
        thread.join(timeout=60)


async def _serve(run: Path, state: Path, listener: socket.socket, server: list[uvicorn.Server]) -> None:
    service = Service([run], state, [HeldEngine()], ServingConfig())
    front = Front(FastAPI(), Desk(service=service, keys=None))
    gate = Gate(front, keys=None, limits=service.config.limits, ended=service.ended)
    server.append(uvicorn.Server(uvicorn.Config(gate, lifespan="on", log_config=None)))
    await service.start()
    await server[0].serve(sockets=[listener])
    await service.close()


def opened(browser: Browser, url: str, width: int) -> tuple[Page, list[str]]:
    """The page at a width, and a list that its complaints and foreign addresses are added to."""
    page = browser.new_page(viewport={"width": width, "height": 860})
    page.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith((url, "data:", "blob:")) else wrong.append(asked.url))
    page.goto(url)
    return page, wrong


def turn(page: Page, section: str) -> None:
    page.get_by_role("tab", name=section).click()


@pytest.mark.parametrize("width", [1440, 390])
def test_a_click_through_the_run(browser: Browser, watched: str, width: int) -> None:
    page, wrong = opened(browser, watched, width)
    expect(page.locator(".stop").nth(1)).to_contain_text("2. rl", timeout=PATIENCE)
    turn(page, "Curves")
    expect(page.get_by_role("img", name="Reward").locator("canvas")).to_be_visible(timeout=PATIENCE)
    turn(page, "Rollouts")
    expect(page.locator(".answer").first).to_contain_text("answer: five equals 5", timeout=PATIENCE)
    assert page.get_by_alt_text("image of the prompt").evaluate("image => image.naturalWidth") == 4
    assert page.locator(".answer b").count() == 0, "an answer's tags are text"
    page.get_by_label("the step before").click()
    expect(page.get_by_text("step 2 of 3")).to_be_visible(timeout=PATIENCE)
    turn(page, "Snapshots")
    expect(page.locator(".version")).to_have_count(2, timeout=PATIENCE)
    turn(page, "Overview")
    page.get_by_role("button", name="Start a run").click()
    page.get_by_label("overrides").fill("verifiable-rl.stepz=4")
    expect(page.get_by_role("alert")).to_contain_text("stepz is not a known key; did you mean steps?", timeout=PATIENCE)
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Cancel").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
    assert wrong == []
    page.close()


def test_an_operator_promotes_and_compares_two_snapshots(browser: Browser, server) -> None:
    page, wrong = opened(browser, server.url, 1440)
    page.get_by_label("API key").fill(OPERATOR)
    page.get_by_role("button", name="Open").click()
    turn(page, "Snapshots")
    page.get_by_role("button", name="Promote").last.click()
    page.get_by_label("alias").fill("clicked")
    page.get_by_label("why").fill("to see it done")
    page.locator(".q-dialog").get_by_role("button", name="Promote").click()
    expect(page.get_by_text("to see it done").last).to_be_visible(timeout=PATIENCE)
    (alias,) = [one for one in server.ask("GET", "/v1/aliases").json()["data"] if one["id"] == "tiny@clicked"]
    assert alias["shares"] == {"01-a": 1.0}
    assert (alias["changes"][0]["who"], alias["changes"][0]["why"]) == ("operator", "to see it done")
    turn(page, "Chat")
    page.get_by_label("question").fill("What is 3 + 4?")
    page.get_by_role("button", name="Ask").click()
    versions = page.locator(".bubble.theirs .chip.accent")
    expect(versions).to_have_count(2, timeout=PATIENCE)
    assert set(versions.all_inner_texts()) == {"tiny@01-a", "tiny@02-b"}
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible(timeout=PATIENCE)
    server.ask("DELETE", "/v1/aliases/tiny@clicked")
    assert wrong == []
    page.close()
