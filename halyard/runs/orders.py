"""Orders to a run that is going on, as files in its folder: written by whoever operates it, taken by its driver.

orders/TIME-ID.json     whole once it is there; gone once it was obeyed or refused, which events.jsonl then says
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from halyard.errors import ConfigError
from halyard.runs.atomic import write_json
from halyard.runs.driver import find_driver

Verb = Literal["pause", "resume", "checkpoint", "stop", "set"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a run is asked for, by whom, when (Unix seconds) and why; `stage`, `key` and `value` are of "set"."""

    id: str
    verb: Verb
    who: str
    time: float
    why: str = ""
    stage: str = ""
    key: str = ""
    value: Any = None


def give(run: Path, verb: Verb, *, who: str, why: str = "", stage: str = "", key: str = "", value: Any = None) -> Order:
    """The order, which is on the disk for the run's driver to find.

    Raises:
        ConfigError: nobody drives the run.
        HalyardError: it could not be written.
    """
    if find_driver(run) is None:
        raise ConfigError(f"the run {run.name} is not going on: no process drives it")
    now = time.time()
    order = Order(
        id=secrets.token_hex(8), verb=verb, who=who, time=round(now, 3), why=why, stage=stage, key=key, value=value
    )
    (run / "orders").mkdir(exist_ok=True)
    write_json(run / "orders" / f"{int(now * 1e6):017d}-{order.id}.json", asdict(order))
    return order


def pending(run: Path, verbs: Sequence[Verb]) -> list[tuple[Path, Order]]:
    """The orders of some kinds that were not taken yet, each with its file, in the order in which they were given."""
    found = [(file, _read(file)) for file in sorted((run / "orders").glob("*.json"))]
    return [(file, order) for file, order in found if order is not None and order.verb in verbs]


def _read(file: Path) -> Order | None:
    """The order in a file; None for what is none, which no driver obeys."""
    try:
        return Order(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
