"""Runs over HTTP: what is read, what is refused, and orders that reach the run's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.old_runs import write_run
from support.recipes_for_tests import written
from support.run_api import CONSUMER, OPERATOR, Client, make_app

from configs.load import load_recipe
from halyard.cli import api
from halyard.errors import ConfigError, HalyardError
from halyard.runs.folder import RunFolder
from serving.errors import Refusal
from serving.routes import events
from serving.runs import root_of


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    """A run whose RL stage goes on: this process drives it."""
    folder = RunFolder.create(tmp_path / "runs", "mine", load_recipe(written(tmp_path)).recipe)
    with folder.lock():
        folder.event("stage_started", stage="rl")
        stage = folder.stage(2, "rl")
        for step in (1, 2, 3):
            stage.record({"step": step, "reward": step / 4})
        yield folder


@pytest.fixture
def ask(run: RunFolder, tmp_path: Path) -> Client:
    return Client(make_app(run.path.parent, tmp_path))


def orders(run: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted((run.path / "orders").glob("*.json"))]


@pytest.mark.parametrize("key", [CONSUMER, OPERATOR])
async def test_any_scope_reads(ask: Client, key: str) -> None:
    (listed,) = (await ask("GET", "/runs", key=key)).json()["data"]
    shown = (await ask("GET", "/runs/mine", key=key)).json()
    assert listed == shown
    assert (shown["state"], shown["stage"], shown["stages"][1]["step"]) == ("running", "rl", 3)
    lines = (await ask("GET", "/runs/mine/metrics?stage=rl&start=1&most=1", key=key)).json()
    assert (lines["lines"], lines["next"]) == ([{"step": 2, "reward": 0.5}], 2)
    told = (await ask("GET", "/runs/mine/events?start=1", key=key)).json()
    assert [event["event"] for event in told["lines"]] == ["stage_started"]
    keys = {one["key"]: one["value"] for one in (await ask("GET", "/runs/mine/keys", key=key)).json()["data"]}
    assert keys["max_staleness"] == 0
    assert (await ask("GET", "/runs/mine/health", key=key)).json()["alive"] is True
    assert (await ask("GET", "/runs/mine/snapshots", key=key)).json()["data"] == []
    assert (await ask("GET", "/runs/mine/recipe", key=key)).json()["name"] == "small"


async def test_rollouts_by_query_and_by_group(ask: Client, run: RunFolder) -> None:
    content = (run.path / "recipe.json").read_text()
    write_run(run.path, [("four", 0.0), ("5", 1.0)], [("FIVE", 0.5)], stage="02-rl")
    (run.path / "recipe.json").write_text(content)
    page = (await ask("GET", "/runs/mine/rollouts?min_reward=0.5&limit=1")).json()
    assert [one["text"] for one in page["rollouts"]] == ["FIVE"]
    page = (await ask("GET", "/runs/mine/rollouts", params={"min_reward": 0.5, "after": page["next"]})).json()
    assert [one["text"] for one in page["rollouts"]] == ["5"]
    group = (await ask("GET", "/runs/mine/rollouts/rl/1/1")).json()["data"]
    assert [(one["text"], one["response_token_ids"]) for one in group] == [("5", [2, 3]), ("four", [2, 3])]
    assert (await ask("GET", "/runs/mine/rollouts/rl/9/1")).status_code == 404
    assert (await ask("GET", "/runs/mine/images/rl/1/1/0")).status_code == 404
    assert (await ask("GET", "/runs/mine/rollouts?limt=1")).status_code == 422
    assert (await ask("GET", "/runs/mine/rollouts?after=1")).status_code == 422


@pytest.mark.parametrize("verb", ["pause", "checkpoint", "stop"])
async def test_an_order_reaches_the_run_with_who_and_why(ask: Client, run: RunFolder, verb: str) -> None:
    assert (await ask("POST", f"/runs/mine/{verb}", json={"why": "the night"})).status_code == 200
    (order,) = orders(run)
    assert (order["verb"], order["who"], order["why"]) == (verb, "ops", "the night")


async def test_a_change_is_looked_at_before_the_run_gets_it(ask: Client, run: RunFolder) -> None:
    change = {"key": "rewards.terms[1].weight", "value": 0.3, "why": "form matters"}
    assert (await ask("POST", "/runs/mine/set", json=change)).status_code == 200
    (order,) = orders(run)
    assert (order["stage"], order["key"], order["value"]) == ("rl", "rewards.terms[1].weight", 0.3)
    for key, value, said in [
        ("optimizer.learning_rat", 1.0, "did you mean optimizer.learning_rate?"),
        ("optimizer.learning_rate", "fast", "expected a number"),
        ("algorithm.kl_coef", 0.1, "no reference to pull towards was kept"),
        ("max_staleness", -1, "at least 0"),
        ("steps", 3, "cannot be changed while the run goes on"),
    ]:
        answer = await ask("POST", "/runs/mine/set", json={"key": key, "value": value})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_change")
        assert said in answer.json()["error"]["message"]
    assert len(orders(run)) == 1


async def test_a_run_of_another_version_is_watched_and_its_keys_are_left_alone(ask: Client, run: RunFolder) -> None:
    path = run.path / "recipe.json"
    content = json.loads(path.read_text())
    content["recipe"]["stages"][1]["a_key_of_next_year"] = 1
    path.write_text(json.dumps(content))
    assert (await ask("GET", "/runs/mine")).json()["state"] == "running"
    for answer in (
        await ask("GET", "/runs/mine/keys"),
        await ask("POST", "/runs/mine/set", json={"key": "max_staleness", "value": 1}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "other_version")
        assert "a_key_of_next_year" in answer.json()["error"]["message"]
    assert not orders(run)


async def test_a_consumer_changes_nothing(ask: Client, run: RunFolder) -> None:
    for path in ("/runs", "/runs/mine/pause", "/runs/mine/set"):
        body = {"recipe": "quickstart", "key": "steps", "value": 1}
        answer = await ask("POST", path, key=CONSUMER, json=body)
        assert answer.status_code == 403
        assert "lacks the scope operate" in answer.json()["error"]["message"]
    assert not orders(run)


async def test_what_is_not_there_or_in_no_state_for_it_is_refused(ask: Client, run: RunFolder, tmp_path: Path) -> None:
    (run.path.parent / "broken").mkdir()
    (run.path.parent / "broken" / "recipe.json").write_text("{}")
    for name in ("yours", "broken", "..", "%2e%2e", "..%2Fruns%2Fmine", "a" * 300):
        assert (await ask("GET", f"/runs/{name}/health")).status_code == 404
        assert (await ask("POST", f"/runs/{name}/stop")).status_code == 404
    answer = await ask("POST", "/runs/mine/resume")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "wrong_state")
    RunFolder.create(run.path.parent, "rests", load_recipe(written(tmp_path)).recipe)
    assert (await ask("POST", "/runs/rests/pause")).status_code == 409
    assert (await ask("POST", "/runs/rests/set", json={"key": "max_staleness", "value": 1})).status_code == 409
    assert (await ask("POST", "/runs/mine/delete")).status_code == 422


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"recipe": "quickstrt"}, "did you mean quickstart?"),
        ({"recipe": "quickstart", "overrides": ["verifiable-rl.stps=3"]}, "did you mean steps?"),
        ({"recipe": "quickstart", "name": "mine"}, "is there already"),
    ],
)
async def test_a_run_that_cannot_be_is_not_started(ask: Client, body: dict[str, Any], said: str) -> None:
    answer = await ask("POST", "/runs", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_recipe")
    assert said in answer.json()["error"]["message"]


async def test_events_as_they_come_from_the_last_one_that_was_seen(run: RunFolder) -> None:
    over = False
    stream = events.follow(run.path, 1, over=lambda: over)
    first = await anext(stream)
    assert first.startswith("id: 1\nevent: stage_started\ndata: {")
    assert first.endswith("}\n\n")
    run.event("drift", stage="rl", mean=float("nan"))
    assert json.loads((await anext(stream)).splitlines()[2].removeprefix("data: "))["mean"] is None
    over = True
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


def test_the_folder_of_all_runs(tmp_path: Path) -> None:
    assert root_of(tmp_path / "runs" / "a") == tmp_path / "runs"
    assert root_of(tmp_path / "runs" / "a" / "snapshots" / "01-b") == tmp_path / "runs"


def answering(monkeypatch: pytest.MonkeyPatch, status: int, body: str) -> api.Service:
    service = api.Service("http://127.0.0.1:1/")
    handler = httpx2.MockTransport(lambda request: httpx2.Response(status, text=body))
    client = partial(httpx2.Client, transport=handler)
    monkeypatch.setattr(httpx2, "Client", client)
    return service


def test_the_command_line_says_what_the_service_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answering(monkeypatch, 200, '{"data": []}').get("/runs") == {"data": []}
    refusal = json.dumps(Refusal(409, "the run is over").body)
    with pytest.raises(ConfigError, match=r"^the run is over$"):
        answering(monkeypatch, 409, refusal).post("/runs/a/stop", why="")
    with pytest.raises(ConfigError, match="HALYARD_API_KEY"):
        answering(monkeypatch, 401, json.dumps(Refusal(401, "send an API key").body)).get("/runs")
    with pytest.raises(ConfigError, match=r"is it a service of `halyard serve`\?"):
        answering(monkeypatch, 404, "<html>").get("/runs")


def test_a_service_that_cannot_be_reached() -> None:
    with pytest.raises(HalyardError, match=r"cannot be reached .*--url"):
        api.Service("http://127.0.0.1:1").get("/runs")
