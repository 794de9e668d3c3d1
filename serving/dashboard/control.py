"""A run's buttons: pause, go on, checkpoint, stop, and the keys that can be changed while it goes on."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from nicegui import events, ui

from configs.live import LiveKey
from halyard.runs.orders import Verb
from halyard.runs.reading.runs import RunView
from serving.dashboard.orders import confirm
from serving.dashboard.parts import button, card, div, text
from serving.dashboard.view import View

_BUTTONS: dict[str, tuple[Verb, ...]] = {
    "starting": ("stop",),
    "running": ("pause", "checkpoint", "stop"),
    "pausing": ("resume", "stop"),
    "paused": ("resume", "checkpoint", "stop"),
    "stopped": ("resume",),
    "failed": ("resume",),
    "gone": ("resume",),
}
"""What can be ordered of a run in each state."""
_WORDS: dict[str, tuple[str, str, str]] = {
    "pause": ("Pause", "pause", "It ends the step it is in, and waits with its engines warm."),
    "resume": (
        "Go on",
        "play_arrow",
        "It goes on where it rests; one whose process has ended starts from its newest checkpoint.",
    ),
    "checkpoint": ("Checkpoint", "save", "It writes a checkpoint after the step it is in."),
    "stop": ("Stop", "stop", "It ends the step it is in, writes a checkpoint and ends; it can go on from there."),
}


class Control:
    """The card with what can be ordered of the run that is looked at."""

    def __init__(self, view: View, run: RunView, keys: Sequence[LiveKey], after: Callable[[], Awaitable[None]]) -> None:
        self._view = view
        self._run = run
        self._keys = keys
        self._after = after

    def draw(self) -> None:
        """Its buttons and live keys; nothing for a run that is finished."""
        verbs = _BUTTONS.get(self._run.state, ())
        if not verbs:
            return
        hint = "Every order is written into the run's events with who gave it and why, and obeyed between two steps."
        with card("Control", hint=hint):
            if not self._view.may("operate"):
                text(f"The key {self._view.caller.name} may look, and not steer.", "soft small")
                return
            with div("bits"):
                for verb in verbs:
                    label, icon, _ = _WORDS[verb]
                    button(label, icon, on_click=partial(self._ask, verb))
                if self._keys:
                    button("Change a key", "tune", on_click=self._change)

    def _ask(self, verb: Verb) -> None:
        label, _, effect = _WORDS[verb]

        async def do(why: str) -> str:
            name = self._run.name
            now = await self._view.desk.service.runs.order(name, verb, who=self._view.caller.name, why=why)
            await self._after()
            return f"{name} was asked to {verb}; it is {now.state}"

        confirm(self._view, f"{label}: {self._run.name}", effect, label, do)

    def _change(self) -> None:
        """Ask which live key becomes what; the service checks it, and the run again."""
        known = {one.key: one for one in self._keys}
        chosen: Any = None
        given: Any = None

        def fields() -> None:
            nonlocal chosen, given
            first = self._keys[0]
            chosen = ui.select(list(known), value=first.key, label="key", with_input=True)
            chosen.props("dense outlined options-dense").style("width: 100%")
            meaning = text(first.meaning, "soft small wrap")
            given = ui.input("value", value=json.dumps(first.value)).props("dense outlined").style("width: 100%")

            def turn(event: events.ValueChangeEventArguments) -> None:
                one = known.get(event.value)
                if one is not None:
                    meaning.set_text(one.meaning)
                    given.set_value(json.dumps(one.value))

            chosen.on_value_change(turn)

        async def do(why: str) -> str:
            value = _parsed(given.value)
            who = self._view.caller.name
            await self._view.desk.service.runs.set(self._run.name, str(chosen.value), value, who=who, why=why)
            await self._after()
            return f"{chosen.value} becomes {given.value} after the next step"

        effect = f"It takes effect after the next step of {self._run.stage}, and is written into the run's events."
        confirm(self._view, f"Change {self._run.name} while it goes on", effect, "Change", do, fields)


def _parsed(given: str) -> Any:
    """What was typed: a number, true or false, or else the text itself."""
    try:
        return json.loads(given)
    except ValueError:
        return given.strip()
