"""What an operator orders with a button: each is confirmed with a reason, done by the service, and told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from halyard.errors import HalyardError
from serving.aliases import Alias
from serving.catalogue import Snapshot
from serving.dashboard.parts import button, div, say, text
from serving.dashboard.view import View

Do = Callable[[str], Awaitable[str]]
"""Does what was ordered, for a reason, and says what came of it."""


async def carry_out(view: View, do: Do, why: str) -> bool:
    """Whether it was done; either way the page says what came of it. The key is asked for its scope again."""
    if not view.may("operate"):
        say(f"the key {view.caller.name} lacks the scope operate", bad=True)
        return False
    try:
        say(await do(why))
    except HalyardError as error:
        say(str(error), bad=True)
        return False
    return True


def confirm(view: View, title: str, effect: str, verb: str, do: Do, fields: Callable[[], Any] | None = None) -> None:
    """Ask whether it is meant, and why; then do it. The dialog stays when the panel is drawn anew."""
    with (
        ui.context.client.content,
        ui.dialog() as dialog,
        ui.card().style("width: 440px; max-width: 94vw; gap: 12px; padding: 18px"),
    ):
        text(title).style("font-weight: 620; font-size: 16px")
        text(effect, "soft")
        if fields is not None:
            fields()
        why = ui.input("why (kept with the change)").props("dense outlined maxlength=1000").style("width: 100%")

        async def go() -> None:
            yes.props("loading")
            if await carry_out(view, do, why.value or ""):
                dialog.close()
            yes.props(remove="loading")

        with div("bits push"):
            button("Cancel", on_click=dialog.close)
            yes = button(verb, on_click=go, main=True)
    dialog.on("hide", dialog.delete)
    dialog.open()


class Orders:
    """What can be done to snapshots and aliases: by the same service as the routes under `/v1/snapshots`."""

    def __init__(self, view: View, after: Callable[[], Awaitable[None]]) -> None:
        self._view = view
        self._after = after

    def promote(self, one: Snapshot) -> None:
        """Have an alias lead to a snapshot, wholly or with a share."""
        service = self._view.desk.service

        def fields() -> None:
            nonlocal alias, share
            with div("bits").style("flex-wrap: nowrap"):
                alias = ui.input("alias", value="stable").props("dense outlined").classes("grow")
                share = ui.select({1.0: "all", 0.5: "50%", 0.25: "25%", 0.1: "10%"}, value=1.0, label="requests")
                share.props("dense outlined options-dense").style("width: 110px")

        alias: Any = None
        share: Any = None

        async def do(why: str) -> str:
            made = await service.promote(
                one, alias.value, float(share.value), wait=True, who=self._view.caller.name, why=why
            )
            await self._after()
            return f"{made.id} leads to " + ", ".join(
                f"{version} ({part:.0%})" for version, part in made.shares.items()
            )

        effect = "Its checksums are verified and an engine takes it; no request in flight is cut off."
        confirm(self._view, f"Promote {one.version}", effect, "Promote", do, fields)

    def pin(self, one: Snapshot) -> None:
        """Hold an alias at a snapshot."""

        def fields() -> None:
            nonlocal alias
            alias = ui.select(["latest", "best", "stable"], value="latest", label="alias", new_value_mode="add-unique")
            alias.props("dense outlined options-dense").style("width: 100%")

        alias: Any = None

        async def do(why: str) -> str:
            aliases = self._view.desk.service.aliases
            held = aliases.pin(one, alias.value, who=self._view.caller.name, why=why)
            await self._after()
            return f"{held.id} is held at {one.version}"

        effect = "Neither the run nor a promotion moves it until it is unpinned."
        confirm(self._view, f"Pin an alias to {one.version}", effect, "Pin", do, fields)

    def rollback(self, alias: Alias) -> None:
        """Have an alias lead where it led before."""

        async def do(why: str) -> str:
            back = self._view.desk.service.aliases.rollback(alias.id, who=self._view.caller.name, why=why)
            await self._after()
            return f"{back.id} leads to {back.main} again"

        target = alias.main if len(alias.shares) > 1 else alias.previous[-1]
        effect = f"New requests to {alias.id} go to {target}; those in flight end on the version they began with."
        confirm(self._view, f"Roll back {alias.id}", effect, "Roll back", do)

    def unpin(self, alias: Alias) -> None:
        """Let an alias go again."""

        async def do(why: str) -> str:
            free = self._view.desk.service.aliases.unpin(alias.id, who=self._view.caller.name, why=why)
            await self._after()
            return f"{free.id} is free again, and leads to {free.main}"

        confirm(self._view, f"Unpin {alias.id}", f"It is held at {alias.main} now.", "Unpin", do)
