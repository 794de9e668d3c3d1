"""What one open page shows and who looks at it: shared by its panels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nicegui import ui

from halyard.errors import HalyardError
from halyard.runs.reading.runs import RunView
from serving.dashboard.history import History
from serving.dashboard.parts import div, empty
from serving.keys import Caller, Keys, Scope
from serving.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What every page is made over: the running service, and its keys where it has any."""

    service: Service
    keys: Keys | None


@dataclass(slots=True, eq=False, kw_only=True)
class View:
    """One open page: the run that is looked at, the stage and step in it, and whose key was given."""

    desk: Desk
    caller: Caller
    run: str | None = None
    stage: str | None = None
    step: int | None = None
    go: Callable[[str], None]
    """Turns to the section of that name."""
    choose: Callable[[str], None]
    """Turns to the run of that name."""
    runs: Sequence[RunView] = ()
    """What the last look found: the runs of the service, newest first."""
    history: History = field(default_factory=History)

    @property
    def folder(self) -> Path | None:
        """The folder of the run that is looked at."""
        return self.folders().get(self.run or "")

    def folders(self) -> dict[str, Path]:
        """The folders of the runs, by name."""
        return {run.name: run.path for run in self.runs}

    @property
    def runless(self) -> str:
        """Why there is no run to show."""
        if self.desk.service.catalogue.all():
            return "single snapshots are served here, without a run to show; see Snapshots and Chat"
        return f"there is no run in {self.desk.service.runs.root} yet; nothing is served until one has a snapshot"

    async def look(self) -> None:
        """Read the runs anew; where none was chosen, the newest that is served is."""
        with suppress(HalyardError):  # one that cannot be read now leaves the list as it was
            self.runs = await asyncio.to_thread(self.desk.service.runs.list)
        if self.run is None and self.runs:
            served = [run for run in self.runs if run.name in self.desk.service.catalogue.runs]
            self.run = (served or self.runs)[0].name

    def may(self, scope: Scope | None) -> bool:
        """Whether the key that was given allows it; None is what any key does."""
        return scope is None or scope in self.caller.scopes


class Panel:
    """A section of the page. It is read and drawn when it is looked at, and again when what it shows has changed."""

    name = ""
    label = ""
    icon = ""
    scope: Scope | None = None
    """What a key must allow for it; None where any key will do."""

    live = True
    """Whether it is drawn anew while it is looked at; what is read at length is not."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.body = div("section")
        with self.body, div("empty"):
            ui.spinner(size="28px")
        self._shown: Any = None
        self._busy = asyncio.Lock()

    def read(self) -> Any:
        """What is to be shown: compared with what is; read in a thread of its own.

        Raises:
            HalyardError: it cannot be shown, and why.
        """
        raise NotImplementedError

    def draw(self, found: Any) -> None:
        """Nothing; the elements are in the body, which is empty before."""
        raise NotImplementedError

    @property
    def waits(self) -> bool:
        """Whether it is to be looked at again by itself."""
        return self.live or self._shown is None or isinstance(self._shown, str)

    def forget(self) -> None:
        """Nothing; whatever is shown is drawn anew at the next look."""
        self._shown = None

    async def refresh(self) -> None:
        """Look, and draw what has changed. A look that comes while another is under way waits for it."""
        async with self._busy:
            if not self.view.may(self.scope):
                found: Any = f"the key {self.view.caller.name} lacks the scope {self.scope}, which this needs"
            else:
                try:
                    found = await asyncio.to_thread(self.read)
                except HalyardError as error:
                    found = str(error)
            if self.body.is_deleted or found == self._shown:
                return
            self.body.clear()
            with self.body:
                if isinstance(found, str):
                    with div("sheet"):
                        empty("block" if not self.view.may(self.scope) else "inbox", found)
                else:
                    self.draw(found)
            self._shown = found

    async def again(self) -> None:
        """Draw it anew at once."""
        self.forget()
        await self.refresh()


def open_dialog(title: str, width: int = 420) -> tuple[ui.dialog, ui.card]:
    """A dialog with a title and the card that its content goes into; the caller opens it."""
    with ui.dialog() as dialog, ui.card().style(f"width: {width}px; max-width: 94vw; gap: 12px") as content:
        ui.label(title).style("font-weight: 620; font-size: 16px")
    return dialog, content
