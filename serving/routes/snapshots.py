"""What operators do: promote, roll back and pin snapshots, set aliases, and look at the engines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from serving.aliases import Alias, Share
from serving.catalogue import Snapshot
from serving.repeats import OrderRoute
from serving.routes.parts import TheExchange, TheService, needs, who
from serving.service import Service

router = APIRouter(prefix="/v1", dependencies=[needs("operate")], route_class=OrderRoute)

Why = Annotated[str, Field(max_length=1000)]
AliasName = Annotated[str, Field(min_length=1, max_length=100)]


class Order(BaseModel):
    """What all changes have: a reason, kept in the alias's history."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    why: Why = ""


class Promotion(Order):
    """Which alias is to lead to the snapshot, and with what share of its requests."""

    alias: AliasName = "stable"
    share: Share = 1.0
    """Less than 1 tries the snapshot as a canary beside the one that the alias leads to."""
    wait: bool = True
    """Whether to answer only when an engine holds the snapshot."""


class Pin(Order):
    """Which alias is to be held at the snapshot."""

    alias: AliasName = "latest"


class Setting(Order):
    """Where an alias is to lead: shares by version, which add up to 1."""

    shares: Annotated[dict[str, Share], Field(min_length=1, max_length=2)]


@router.post("/snapshots/{name}/promote")
async def promote(name: str, order: Promotion, service: TheService, exchange: TheExchange) -> dict[str, Any]:
    """Have an alias lead to a snapshot."""
    snapshot = service.snapshot(name)
    by = {"who": who(exchange), "why": order.why}
    alias = await service.promote(snapshot, order.alias, order.share, wait=order.wait, **by)
    return _shown(service, alias, snapshot)


@router.post("/snapshots/{name}/rollback")
async def rollback(name: str, service: TheService, exchange: TheExchange, order: Order | None = None) -> dict[str, Any]:
    """Have an alias (`RUN@ALIAS`) lead where it led before; a canary ends."""
    why = order.why if order else ""
    return _shown(service, service.aliases.rollback(name, who=who(exchange), why=why))


@router.post("/snapshots/{name}/pin")
async def pin(name: str, order: Pin, service: TheService, exchange: TheExchange) -> dict[str, Any]:
    """Hold an alias at a snapshot, whatever the run brings and whoever promotes."""
    snapshot = service.snapshot(name)
    alias = service.aliases.pin(snapshot, order.alias, who=who(exchange), why=order.why)
    return _shown(service, alias, snapshot)


@router.post("/snapshots/{name}/unpin")
async def unpin(name: str, service: TheService, exchange: TheExchange, order: Order | None = None) -> dict[str, Any]:
    """Let an alias (`RUN@ALIAS`) go again."""
    why = order.why if order else ""
    return _shown(service, service.aliases.unpin(name, who=who(exchange), why=why))


@router.get("/aliases")
async def aliases(service: TheService) -> dict[str, Any]:
    """Every alias, with its history."""
    return {"object": "list", "data": [_shown(service, alias) for alias in service.aliases.all()]}


@router.put("/aliases/{name}")
async def put(name: str, order: Setting, service: TheService, exchange: TheExchange) -> dict[str, Any]:
    """Make or change an alias."""
    return _shown(service, service.aliases.put(name, order.shares, who=who(exchange), why=order.why))


@router.delete("/aliases/{name}")
async def delete(name: str, service: TheService) -> dict[str, Any]:
    """Take away an alias that an operator made."""
    service.aliases.delete(name)
    return {"id": name, "object": "alias", "deleted": True}


@router.get("/engines")
async def engines(service: TheService) -> dict[str, Any]:
    """What the engines do and hold, the queue, and the last changes of snapshots with their pauses."""
    pool = service.pool
    data = [
        {
            "name": slot.engine.name,
            "state": slot.state(),
            "snapshot": slot.engine.snapshot.id if slot.engine.snapshot else None,
            "adapters": slot.engine.adapters,
            "target": slot.target.id if slot.target else None,
            "in_flight": slot.in_flight,
        }
        for slot in pool.slots
    ]
    swaps = [asdict(swap) for swap in pool.swaps]
    return {
        "object": "list",
        "data": data,
        "waiting": pool.waiting,
        "restarts": pool.restarts,
        "problems": list(service.catalogue.problems.values()),
        "swaps": {
            "count": pool.swap_count,
            "worst_load": max((swap.load for swap in pool.swaps if swap.old), default=None),
            "worst_wait": max((swap.longest_wait for swap in pool.swaps if swap.old), default=None),
            "last": swaps[-20:],
        },
    }


def _shown(service: Service, alias: Alias, snapshot: Snapshot | None = None) -> dict[str, Any]:
    """An alias with the figures of the versions that it leads to."""
    names = [f"{alias.run}@{version}" for version in alias.shares]
    figures = {name: service.figures[name].to_json() for name in names if name in service.figures}
    shown = {"id": alias.id, "object": "alias", **alias.model_dump(exclude={"run", "name"}), "figures": figures}
    if snapshot is not None:
        swaps = [asdict(swap) for swap in service.pool.swaps if swap.new == snapshot.id]
        shown["swap"] = swaps[-1] if swaps else None
    return shown
