"""What happened in a run, in words, and what its preflight found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from halyard.runs.reading.runs import RunView
from serving.dashboard.parts import card, chip, clock, div, duration, text

Event = Mapping[str, Any]
_SHOWN = 40
_LOUD = {
    "failed": "bad",
    "drift": "warn",
    "engine_restart": "warn",
    "learner_restart": "warn",
    "order_refused": "warn",
    "changed": "accent",
}


def draw_happenings(happened: Sequence[Event], run: RunView) -> None:
    """The events of a run, newest first."""
    with card("What happened", hint=f"events.jsonl of {run.name}, newest first."), div("log"):
        for event in list(reversed(happened))[:_SHOWN]:
            with div():
                text(clock(event.get("time", 0.0)), "num faint").style("font-size: 12.5px")
                with div("bits").style("gap: 6px"):
                    kind = str(event.get("event", ""))
                    if kind in _LOUD:
                        chip(kind.replace("_", " "), _LOUD[kind])
                    text(said(event), "wrap")


def draw_preflight(happened: Sequence[Event], stage: str | None) -> None:
    """The checks before the first step of a stage, or of the last stage that had any."""
    found = [event for event in happened if event.get("event") == "preflight"]
    mine = [event for event in found if event.get("stage") == stage] or found
    if not mine:
        return
    hint = "Before the first step, on the real model and prompts: do engine, learner and rewards agree?"
    with card(f"Preflight of {mine[-1].get('stage')}", hint=hint), div("stack"):
        for check in mine[-1].get("checks", ()):
            with div("bits").style("align-items: flex-start; flex-wrap: nowrap"):
                good = check.get("status") == "ok"
                chip(str(check.get("status")), "good" if good else "warn")
                with div("grow"):
                    text(str(check.get("name")), "").style("font-weight: 550")
                    text(str(check.get("detail")), "soft small wrap")


def said(event: Event) -> str:
    """An event as a sentence; one of a kind not known here as its fields."""
    write = _SENTENCES.get(str(event.get("event")))
    if write is not None:
        try:
            return write(event)
        except (KeyError, TypeError, ValueError):  # an event of another version has other fields
            pass
    fields = ", ".join(f"{key} {_short(value)}" for key, value in event.items() if key not in ("time", "event"))
    return f"{str(event.get('event', 'event')).replace('_', ' ')}" + (f": {fields}" if fields else "")


def _short(value: Any) -> str:
    told = f"{value:.4g}" if isinstance(value, float) else str(value)
    return told if len(told) <= 160 else told[:159] + "…"


def _coverage(event: Event) -> str:
    states = ", ".join(f"{count:,} {state}" for state, count in event["states"].items())
    return f"{event['stage']}: prompts {states}"


def _judge_costs(event: Event) -> str:
    calls, hits, failed = (int(event[name]) for name in ("calls", "cache_hits", "failed"))
    return f"{event['stage']}: {event['judge']}: {calls:,} calls, {hits:,} from its cache, {failed:,} failed"


def _changed(event: Event) -> str:
    return f"{event['key']}: {_short(event['old'])} to {_short(event['new'])} after step {event['step']}" + _by(event)


def _by(event: Event) -> str:
    return f" by {event['who']}" + (f": {event['why']}" if event.get("why") else "") if event.get("who") else ""


_SENTENCES = {
    "created": lambda event: f"made from the recipe {event['recipe']}",
    "started": lambda event: "went on from its last checkpoint" if event.get("resumed") else "started",
    "stage_started": lambda event: f"{event['stage']} began",
    "stage_finished": lambda event: f"{event['stage']} done in {duration(event['seconds'])}",
    "checkpoint": lambda event: f"{event['stage']}: checkpoint at step {event['step']:,}",
    "snapshot": lambda event: f"snapshot {event['version']}",
    "preflight": lambda event: f"{event['stage']}: {len(event['checks'])} checks before the first step",
    "coverage": _coverage,
    "judge_costs": _judge_costs,
    "failed": lambda event: str(event.get("message", "failed")),
    "interrupted": lambda event: str(event["message"]),
    "keys_added": lambda event: (
        "new keys, with their defaults: " + ", ".join(f"{k} {_short(v)}" for k, v in event["keys"].items())
    ),
    "changed": _changed,
    "paused": lambda event: f"paused at step {event['step']}" + _by(event),
    "order": lambda event: f"asked to {event['verb']}" + _by(event),
}
