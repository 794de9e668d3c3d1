"""Starting a run from the page: a recipe is picked, overrides typed, and what is wrong stands beside them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from nicegui import ui

from configs.load import LoadedRecipe, shipped
from serving.dashboard.parts import button, chip, div, text
from serving.dashboard.view import View
from serving.errors import Refusal

_CHECK_SECONDS = 0.4
"""After the last key, before what was typed is checked."""
_FIRST = "quickstart"


def overrides_in(typed: str) -> list[str]:
    """The overrides in a text, a line each; empty lines and what follows a # at the start are none."""
    lines = (line.strip() for line in typed.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


class Starting:
    """The dialog that starts a run. It stays open until the run goes on, or with the reason why it does not."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._checked = 0
        self._ready = False
        self._build()

    def _build(self) -> None:
        with ui.context.client.content, ui.dialog() as self._dialog, ui.card().classes("starting"):
            text("Start a run").style("font-weight: 620; font-size: 16px")
            text("A process of its own: it goes on when this page and the service end.", "soft small")
            recipes = list(shipped())
            first = _FIRST if _FIRST in recipes else recipes[0]
            self._recipe = ui.select(
                recipes, value=first, label="recipe, or a YAML file", with_input=True, new_value_mode="add-unique"
            )
            self._recipe.props("dense outlined options-dense").style("width: 100%")
            self._overrides = ui.textarea("overrides, a line each: KEY=VALUE")
            self._overrides.props("dense outlined autogrow spellcheck=false").classes("mono").style("width: 100%")
            self._name = ui.input("name (numbered if left out)").props("dense outlined maxlength=100")
            self._name.style("width: 100%")
            self._found = div("found").props("aria-live=polite")
            with div("bits push"):
                button("Cancel", on_click=self._dialog.close)
                self._go = button("Start", "rocket_launch", on_click=self._start, main=True)
        for field in (self._recipe, self._overrides, self._name):
            field.on_value_change(self._look)
        self._dialog.on("hide", self._dialog.delete)

    async def open(self) -> None:
        """Show it, with what the first recipe is."""
        self._dialog.open()
        await self._look()

    async def _look(self) -> None:
        """Check what is chosen and typed, once nobody types any more; only the newest look is shown."""
        self._checked += 1
        mine = self._checked
        self._go.disable()
        await asyncio.sleep(_CHECK_SECONDS)
        if mine != self._checked or self._dialog.is_deleted:
            return
        try:
            loaded = await self._view.desk.service.runs.check(*self._asked)
        except Refusal as refusal:
            if mine == self._checked:
                self._tell(str(refusal))
            return
        if mine == self._checked:
            self._show(loaded)
            self._go.enable()

    @property
    def _asked(self) -> tuple[str, Sequence[str], str | None]:
        """The recipe, the overrides and the name."""
        name = str(self._name.value or "").strip()
        return str(self._recipe.value or "").strip(), overrides_in(str(self._overrides.value or "")), name or None

    def _show(self, loaded: LoadedRecipe) -> None:
        """What would be run, in its own words."""
        recipe = loaded.recipe
        self._found.clear()
        with self._found:
            if recipe.description:
                text(recipe.description, "soft small wrap")
            with div("bits").style("gap: 6px"):
                for index, stage in enumerate(recipe.stages, start=1):
                    steps: Any = getattr(stage, "steps", None)
                    chip(f"{index}. {stage.name}" + (f" · {steps:,} step{'s' * (steps > 1)}" if steps else ""))
            if recipe.minutes:
                text(f"about {recipe.minutes:g} minutes on the machine that it was written for", "faint small")

    def _tell(self, sentence: str) -> None:
        """Why it cannot be started, beside what was typed."""
        self._found.clear()
        with self._found, div("fault").props("role=alert"):
            for line in sentence.splitlines():
                text(line, "wrap")

    async def _start(self) -> None:
        """Start it, and turn to it; what the run itself has against it stands where the faults do."""
        if not self._view.may("operate"):
            self._tell(f"the key {self._view.caller.name} lacks the scope operate")
            return
        self._go.props("loading")
        try:
            view = await self._view.desk.service.runs.start(*self._asked, who=self._view.caller.name)
        except Refusal as refusal:
            self._tell(str(refusal))
            return
        finally:
            self._go.props(remove="loading")
        await self._view.look()
        self._dialog.close()
        self._view.choose(view.name)
