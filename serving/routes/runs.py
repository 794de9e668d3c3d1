"""Runs over HTTP: started, watched and operated. Reading takes any scope, changing takes `operate`."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.responses import Response

from configs.live import LiveKey
from halyard.errors import ConfigError, DataError
from halyard.runs.orders import Order
from halyard.runs.reading import runs as reading
from halyard.runs.reading.health import Health, health
from halyard.runs.reading.lines import Lines
from halyard.runs.reading.rollouts import RolloutPage, RolloutQuery, find_rollouts, open_prompt_image, read_group
from halyard.runs.reading.runs import RunView, show_run
from halyard.runs.reading.snapshots import SnapshotView, snapshots
from halyard.runs.rollouts import RolloutRecord
from serving.errors import Refusal
from serving.places import NAME
from serving.repeats import OrderRoute
from serving.routes.parts import TheExchange, TheService, needs, who

T = TypeVar("T")
Start = Annotated[int, Query(ge=0, le=10**9)]
Most = Annotated[int, Query(ge=1, le=10_000)]
Number = Annotated[int, Field(ge=0, le=10**9)]
Reward = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=1000)]

read = APIRouter(prefix="/v1", dependencies=[needs("consume", "operate")])
write = APIRouter(prefix="/v1", dependencies=[needs("operate")], route_class=OrderRoute)


class Listed(BaseModel, Generic[T]):
    """A list, as OpenAI's API has them."""

    object: Literal["list"] = "list"
    data: list[T]


class Reason(BaseModel):
    """What all orders have: a reason, which the run writes down."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    why: Text = ""


class Beginning(Reason):
    """A new run: a shipped recipe's name or a YAML file of the service's machine, with overrides such as KEY=VALUE."""

    recipe: Annotated[str, Field(min_length=1, max_length=1000)]
    overrides: Annotated[list[Text], Field(max_length=100)] = []
    name: Annotated[str | None, Field(pattern=f"^{NAME.pattern}$")] = None


class Change(Reason):
    """A live key of the stage that goes on, and its new value."""

    key: Annotated[str, Field(min_length=1, max_length=200)]
    value: JsonValue


class Asked(BaseModel):
    """A query of rollouts; docs/serving.md says what each part asks for."""

    model_config = ConfigDict(extra="forbid")

    stage: Text | None = None
    first_step: Number | None = None
    last_step: Number | None = None
    min_reward: Reward | None = None
    max_reward: Reward | None = None
    task: Text | None = None
    family: Text | None = None
    state: Literal["trained", "dropped", "failed"] | None = None
    prompt_id: Text | None = None
    thinking: bool | None = None
    text: Text | None = None
    oldest_first: bool = False
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    after: Annotated[str | None, Field(pattern=r"^[0-9]{1,15}:[0-9]{1,15}$")] = None


@read.get("/runs")
async def list_runs(service: TheService) -> Listed[RunView]:
    """All runs, newest first."""
    return Listed(data=await asyncio.to_thread(service.runs.list))


@read.get("/runs/{name}")
async def show(name: str, service: TheService) -> RunView:
    """One run: its state, its stages and how far each is."""
    return await _look(show_run, service.runs.folder(name))


@read.get("/runs/{name}/recipe")
async def recipe(name: str, service: TheService) -> dict[str, Any]:
    """The recipe of a run, resolved."""
    return await _look(reading.recipe, service.runs.folder(name))


@read.get("/runs/{name}/metrics")
async def metrics(name: str, service: TheService, stage: Text, start: Start = 0, most: Most = 1000) -> Lines:
    """The figures of a stage, a line a step, from line `start` on."""
    return await _look(reading.metrics, service.runs.folder(name), stage, start, most)


@read.get("/runs/{name}/rollouts")
async def rollouts(name: str, service: TheService, asked: Annotated[Asked, Query()]) -> RolloutPage:
    """A page of rollouts by step, reward, task and text."""
    return await _look(find_rollouts, service.runs.folder(name), RolloutQuery(**asked.model_dump()))


@read.get("/runs/{name}/rollouts/{stage}/{step}/{occurrence}")
async def group(name: str, stage: str, step: Number, occurrence: Number, service: TheService) -> Listed[RolloutRecord]:
    """All answers to one prompt, whole, the best reward first."""
    return Listed(data=await _look(read_group, service.runs.folder(name), stage, step, occurrence))


@read.get("/runs/{name}/images/{stage}/{step}/{occurrence}/{number}", response_class=Response)
async def image(
    name: str, stage: str, step: Number, occurrence: Number, number: Number, service: TheService
) -> Response:
    """An image of a prompt, as PNG."""

    def drawn() -> bytes:
        file = io.BytesIO()
        open_prompt_image(service.runs.folder(name), stage, step, occurrence, number).save(file, "PNG")
        return file.getvalue()

    return Response(await _look(drawn), media_type="image/png")


@read.get("/runs/{name}/snapshots")
async def list_snapshots(name: str, service: TheService) -> Listed[SnapshotView]:
    """The snapshots of a run with their lineage, oldest first."""
    return Listed(data=await _look(snapshots, service.runs.folder(name)))


@read.get("/runs/{name}/health")
async def show_health(name: str, service: TheService) -> Health:
    """The processes of a run, what it waits for, and what it warned of."""
    return await _look(health, service.runs.folder(name))


@read.get("/runs/{name}/keys")
async def keys(name: str, service: TheService) -> Listed[LiveKey]:
    """What can be changed in the stage that goes on now."""
    return Listed(data=await _look(service.runs.keys, name))


@write.post("/runs", status_code=201)
async def start(order: Beginning, service: TheService, exchange: TheExchange) -> RunView:
    """Start a run, which goes on without this service."""
    return await service.runs.start(order.recipe, order.overrides, order.name, who=who(exchange))


@write.post("/runs/{name}/set")
async def change(name: str, order: Change, service: TheService, exchange: TheExchange) -> Order:
    """Change a live key; the run does so after its step, and writes down who did and when."""
    return await service.runs.set(name, order.key, order.value, who=who(exchange), why=order.why)


@write.post("/runs/{name}/{verb}")
async def operate(
    name: str,
    verb: Literal["pause", "resume", "checkpoint", "stop"],
    service: TheService,
    exchange: TheExchange,
    order: Reason | None = None,
) -> RunView:
    """Pause a run after its step, have it go on, write a checkpoint, or stop it as Ctrl-C does."""
    return await service.runs.order(name, verb, who=who(exchange), why=order.why if order else "")


async def _look(look: Callable[..., T], *arguments: Any) -> T:
    """What is read in a thread; what is not there is a 404.

    Raises:
        Refusal: there is no such stage, step or image.
    """
    try:
        return await asyncio.to_thread(look, *arguments)
    except (ConfigError, DataError) as error:
        raise Refusal(404, str(error), code="not_found") from None
