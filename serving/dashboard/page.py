"""The page at `/`: its bar, its sections, and the clock that refreshes the one that is looked at."""

from __future__ import annotations

from pathlib import Path

from fastapi import Request
from nicegui import events, ui

from serving.dashboard.chat import Chat
from serving.dashboard.curves import Curves
from serving.dashboard.engines import Engines
from serving.dashboard.overview import STATES, Overview
from serving.dashboard.parts import button, chip, div, text
from serving.dashboard.rollouts import Rollouts
from serving.dashboard.sign_in import draw_sign_in, known_caller, leave
from serving.dashboard.snapshots import Snapshots
from serving.dashboard.view import Desk, Panel, View
from serving.keys import LOCAL, Caller

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
MARK = """<svg viewBox="0 0 24 24" fill="none" aria-hidden="true"><path d="M11 2.5v15.2H4.2C7.9 14 10.2 9 11 2.5Z"
fill="var(--accent)"/><path d="M13 6.2c3.2 2.7 5.6 6.6 6.6 11.5H13Z" fill="var(--accent)" opacity=".55"/><path
d="M3 19.6h18l-1.6 2H4.6Z" fill="var(--accent)"/></svg>"""
PANELS: tuple[type[Panel], ...] = (Overview, Curves, Rollouts, Snapshots, Engines, Chat)
_REFRESH_SECONDS = 2.0


@ui.page("/", title="Halyard", response_timeout=60.0)
async def page(request: Request) -> None:
    """The page for one browser tab; where there are keys, only after one was given."""
    desk: Desk = request.scope["desk"]
    ui.add_css(STYLE)
    ui.colors(primary="#0b7285")
    dark = ui.dark_mode(value=None)
    if desk.keys is None:
        await Frame(desk, LOCAL, dark).draw()
        return
    await ui.context.client.connected()
    caller = known_caller(desk.keys)
    if caller is None:
        draw_sign_in(desk.keys)
    else:
        await Frame(desk, caller, dark).draw()


class Frame:
    """The page around its panels."""

    def __init__(self, desk: Desk, caller: Caller, dark: ui.dark_mode) -> None:
        self._view = View(desk=desk, caller=caller, go=self._go, choose=self._choose)
        self._dark = dark
        self._panels: dict[str, Panel] = {}
        self._current = PANELS[0].name

    async def draw(self) -> None:
        """The bar, the sections, and the first of them."""
        await self._view.look()
        with div("bar"), div():
            with div("top"):
                self._draw_top(list(self._view.folders()))
            self._tabs = ui.tabs(on_change=self._turned)
            with self._tabs.props("dense no-caps inline-label align=left"):
                for panel in PANELS:
                    ui.tab(panel.name, label=panel.label, icon=panel.icon)
        with div("page"), ui.tab_panels(self._tabs, animated=False).classes("w-full") as holder:
            for panel in PANELS:
                with ui.tab_panel(panel.name):
                    self._panels[panel.name] = panel(self._view)
        holder.set_value(self._current)
        await self._refresh()
        ui.timer(_REFRESH_SECONDS, self._refresh, immediate=False)

    def _draw_top(self, runs: list[str]) -> None:
        with div("brand"):
            ui.html(MARK, sanitize=False)
            text("Halyard")
        self._state = chip("", "")
        self._run = ui.select(runs, value=self._view.run, on_change=self._picked)
        self._run.props("dense outlined options-dense label=run").classes("run-choice").set_visibility(bool(runs))
        with div("bits push").style("gap: 4px; flex-wrap: nowrap"):
            if self._view.desk.keys is not None:
                text(self._view.caller.name, "soft small keyname")
                button("Sign out", on_click=leave)
            ui.button(icon="contrast", on_click=self._turn_light).props("flat round dense aria-label='light or dark'")

    async def _refresh(self) -> None:
        """Look at the section that is shown; a key that was taken away meanwhile ends the page."""
        keys = self._view.desk.keys
        if keys is not None:
            caller = known_caller(keys)
            if caller is None:
                leave()
                return
            self._view.caller = caller
        await self._view.look()
        names = list(self._view.folders())
        if names != self._run.options:
            self._run.set_options(names, value=self._view.run)
            self._run.set_visibility(bool(names))
        state = next((run.state for run in self._view.runs if run.name == self._view.run), None)
        self._state.set_visibility(state is not None)
        if state is not None and self._state.text != state:
            self._state.set_text(state)
            self._state.classes(replace=f"chip {STATES[state]}")
        if self._panels[self._current].waits:
            await self._panels[self._current].refresh()

    async def _turned(self, event: events.ValueChangeEventArguments) -> None:
        self._current = str(event.value)
        if self._panels:
            _to_top()
            await self._panels[self._current].refresh()

    def _go(self, name: str) -> None:
        self._tabs.set_value(name)

    def _choose(self, run: str) -> None:
        self._run.set_value(run)

    async def _picked(self, event: events.ValueChangeEventArguments) -> None:
        if event.value == self._view.run:
            return
        self._view.run, self._view.stage, self._view.step = event.value, None, None
        for panel in self._panels.values():
            panel.forget()
        _to_top()
        await self._refresh()

    async def _turn_light(self) -> None:
        dark = await ui.run_javascript("document.body.classList.contains('body--dark')")
        self._dark.set_value(not dark)


def _to_top() -> None:
    """What is turned to is seen from its beginning."""
    ui.run_javascript("window.scrollTo(0, 0)")
