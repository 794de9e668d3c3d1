"""Orders under an `Idempotency-Key`: done once, answered as often as they are asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, Response
from support.recipes_for_tests import written
from support.run_api import CONSUMER, Client, make_app

from configs.load import load_recipe
from halyard.runs.folder import RunFolder
from serving.errors import Refusal
from serving.keys import LOCAL, Caller
from serving.repeats import Repeats

OTHER = Caller(name="other", scopes=LOCAL.scopes)


class Order:
    """An order that counts how often it is carried out, and waits until it is let go on."""

    def __init__(self, *refusals: Refusal) -> None:
        self.times = 0
        self.refusals = list(refusals)
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> Response:
        self.times += 1
        await self.gate.wait()
        if self.refusals:
            raise self.refusals.pop(0)
        return JSONResponse({"time": self.times}, status_code=201)


async def test_an_order_is_carried_out_once_for_each_caller_and_key() -> None:
    repeats, order = Repeats(), Order()
    first = await repeats.once(LOCAL, "a", b"1", order)
    again = await repeats.once(LOCAL, "a", b"1", order)
    assert (first.status_code, first.body) == (again.status_code, again.body) == (201, b'{"time":1}')
    assert "x-halyard-repeated" not in first.headers
    assert again.headers["x-halyard-repeated"] == "true"
    assert (await repeats.once(LOCAL, "b", b"1", order)).body == b'{"time":2}'
    assert (await repeats.once(OTHER, "a", b"1", order)).body == b'{"time":3}'


async def test_another_order_under_a_used_key_is_refused_and_not_carried_out() -> None:
    repeats, order = Repeats(), Order()
    await repeats.once(LOCAL, "a", b"1", order)
    with pytest.raises(Refusal, match="used for another order") as refused:
        await repeats.once(LOCAL, "a", b"2", order)
    assert (refused.value.status, order.times) == (422, 1)


async def test_an_order_that_was_refused_can_be_sent_again() -> None:
    repeats, order = Repeats(), Order(Refusal(409, "not now"))
    with pytest.raises(Refusal, match="not now"):
        await repeats.once(LOCAL, "a", b"1", order)
    assert (await repeats.once(LOCAL, "a", b"1", order)).status_code == 201
    assert order.times == 2


async def test_who_asks_while_it_goes_on_gets_the_answer_of_the_one_who_left() -> None:
    repeats, order = Repeats(), Order()
    order.gate.clear()
    first = asyncio.create_task(repeats.once(LOCAL, "a", b"1", order))
    await asyncio.sleep(0)
    second = asyncio.create_task(repeats.once(LOCAL, "a", b"1", order))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    order.gate.set()
    assert (await second).body == b'{"time":1}'
    assert order.times == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "ä"])
async def test_what_is_no_key_is_refused(key: str) -> None:
    order = Order()
    with pytest.raises(Refusal, match="printable characters"):
        await Repeats().once(LOCAL, key, b"1", order)
    assert order.times == 0


async def test_only_so_many_are_remembered_and_the_oldest_go_first() -> None:
    repeats, order = Repeats(), Order()
    for number in range(1001):
        await repeats.once(LOCAL, str(number), b"1", order)
    assert "x-halyard-repeated" in (await repeats.once(LOCAL, "1", b"1", order)).headers
    assert "x-halyard-repeated" not in (await repeats.once(LOCAL, "0", b"1", order)).headers


async def test_an_order_that_is_refused_after_it_was_forgotten_leaves_no_trace() -> None:
    repeats, order, late, faults = Repeats(), Order(), Order(Refusal(409, "not now")), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    late.gate.clear()
    waiting = asyncio.create_task(repeats.once(LOCAL, "late", b"1", late))
    await asyncio.sleep(0)
    for number in range(1001):
        await repeats.once(LOCAL, str(number), b"1", order)
    late.gate.set()
    with pytest.raises(Refusal, match="not now"):
        await waiting
    assert faults == []


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder.create(tmp_path / "runs", "mine", load_recipe(written(tmp_path)).recipe)
    with folder.lock():
        folder.event("stage_started", stage="rl")
        yield folder


async def test_a_run_gets_a_repeated_order_once(run: RunFolder, tmp_path: Path) -> None:
    ask = Client(make_app(run.path.parent, tmp_path))
    key = {"idempotency-key": "night-1"}
    answers = [await ask("POST", "/runs/mine/pause", json={"why": "the night"}, headers=key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].json() == answers[2].json()
    (order,) = (run.path / "orders").glob("*.json")
    assert json.loads(order.read_text())["verb"] == "pause"
    other = await ask("POST", "/runs/mine/stop", json={"why": "the night"}, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "key_used")
    assert (await ask("POST", "/runs/mine/pause", key=CONSUMER, headers=key)).status_code == 403
