"""A chat with two snapshots side by side: the same question, image and seed, and what each makes of them."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from nicegui import events, ui

from halyard.data.images import to_data_uri
from serving.dashboard.conversation import Asked, Conversation
from serving.dashboard.parts import button, div, say, text
from serving.dashboard.view import Panel, View


class Chat(Panel):
    """Two columns with a snapshot each, over one place to ask."""

    name, label, icon = "chat", "Chat", "compare"

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._image: str | None = None
        self._sides: list[Conversation] = []

    def read(self) -> Any:
        """The names that can be asked."""
        service = self.view.desk.service
        policies = [one.id for run in service.catalogue.runs for one in reversed(service.catalogue.policies(run))]
        others = [one.id for one in service.catalogue.all() if one.id not in policies]
        names = [*policies, *others, *(alias.id for alias in service.aliases.all() if alias.shares)]
        return tuple(names) or "no snapshot to talk with yet: the first appears when a stage is done"

    def draw(self, found: Any) -> None:
        """The columns and the place to ask."""
        first, second = _two(found, self.view.run)
        with div("columns"):
            self._sides = [Conversation(self.view, found, name) for name in (first, second)]
        with div("sheet"):
            with div("bits").style("align-items: flex-end"):
                self._question = ui.textarea(placeholder="Ask both. Ctrl+Enter sends.").classes("grow")
                self._question.props("outlined autogrow dense rows=2 aria-label=question").style("min-width: 220px")
                self._question.on("keydown.ctrl.enter", self._send)
                self._go = button("Ask", "send", on_click=self._send, main=True)
            with div("bits small"):
                upload = ui.upload(on_upload=self._take, auto_upload=True, max_file_size=8 * 2**20)
                upload.on("rejected", lambda: say("images have at most 8 MiB", bad=True))
                upload.props("accept=image/png,image/jpeg,image/webp flat").style("display: none")
                button("Image", "image", on_click=lambda: upload.run_method("pickFiles"))
                self._thumb = div("bits")
                self._thinking = ui.checkbox("thinking", value=True).props("dense")
                self._temperature = ui.number("temperature", value=0.0, min=0, max=2, step=0.1)
                self._tokens = ui.number("tokens", value=256, min=1, max=1024, step=64, precision=0)
                self._seed = ui.number("seed", value=secrets.randbelow(10_000), min=0, precision=0)
                for field in (self._temperature, self._tokens, self._seed):
                    field.props("dense outlined").style("width: 104px")
                text("Each turn is asked anew, without what was said before.", "faint push")
                button("Clear", "delete_sweep", on_click=self._clear)

    async def refresh(self) -> None:
        """Draw it once; after that only the names to choose from change, so that no answer is lost."""
        if not self._sides or self._shown is None:
            await super().refresh()
            return
        found = await asyncio.to_thread(self.read)
        if isinstance(found, tuple):
            for side in self._sides:
                side.offer(found)

    async def _send(self) -> None:
        question = (self._question.value or "").strip()
        if not question and self._image is None:
            return
        asked = Asked(
            text=question,
            image=self._image,
            thinking=bool(self._thinking.value),
            temperature=float(self._temperature.value or 0),
            tokens=int(self._tokens.value or 256),
            seed=int(self._seed.value or 0),
        )
        self._go.props("loading").disable()
        try:
            await asyncio.gather(*(side.ask(asked) for side in self._sides))
        finally:
            self._go.props(remove="loading").enable()
        self._question.set_value("")

    async def _take(self, event: events.UploadEventArguments) -> None:
        content = await event.file.read()
        kind = event.file.content_type.removeprefix("image/")
        self._image = to_data_uri(content, kind)
        self._thumb.clear()
        with self._thumb:
            ui.html(f'<img src="{self._image}" alt="" style="height: 32px; border-radius: 4px">', sanitize=True)
            ui.button(icon="close", on_click=self._drop).props("flat round dense size=sm aria-label='no image'")

    def _drop(self) -> None:
        self._image = None
        self._thumb.clear()

    def _clear(self) -> None:
        for side in self._sides:
            side.clear()


def _two(names: tuple[str, ...], run: str | None) -> tuple[str, str]:
    """The newest policy of the run, and the one before it."""
    mine = [name for name in names if run in (None, name.partition("@")[0])] or list(names)
    return mine[0], mine[1] if len(mine) > 1 else mine[0]
