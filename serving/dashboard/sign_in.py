"""Who looks at the page, where the service has API keys: one is asked for, and kept with the browser's tab.

The key stays in this process's memory under the tab's session, and in nothing on disk. It is looked up again at
every refresh, so that a key that is taken away ends the pages that it opened.
"""

from __future__ import annotations

import asyncio

from nicegui import app, ui

from serving.dashboard.parts import button, div, text
from serving.keys import Caller, Keys

_WRONG_SECONDS = 1.0
"""How long the answer to a wrong key takes."""


def known_caller(keys: Keys) -> Caller | None:
    """Whose key this tab was given; None where it has none that is good now."""
    return keys.caller(app.storage.tab.get("key", ""))


def leave() -> None:
    """Forget the tab's key, and ask for one."""
    app.storage.tab.pop("key", None)
    ui.navigate.reload()


def draw_sign_in(keys: Keys) -> None:
    """The place where a key is given."""

    async def enter() -> None:
        given = (field.value or "").strip()
        if keys.caller(given) is None:
            go.disable()
            await asyncio.sleep(_WRONG_SECONDS)
            go.enable()
            field.props('error error-message="This key is not known here."')
            return
        app.storage.tab["key"] = given
        ui.navigate.reload()

    with div("sheet gate"):
        text("Halyard").style("font-weight: 650; font-size: 20px")
        text("This service has API keys. Give yours; it is kept for this browser tab alone.", "soft")
        field = ui.input(label="API key", password=True, password_toggle_button=True).props("outlined autofocus")
        field.on("keydown.enter", enter)
        go = button("Open", on_click=enter, main=True)
