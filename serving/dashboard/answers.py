"""One group: the prompt with its images, and its answers, best first, each with its verdict and its tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from nicegui import ui

from halyard.errors import HalyardError
from halyard.runs.reading.rollouts import read_group
from halyard.runs.rollouts import RolloutRecord
from serving.dashboard.parts import button, card, chip, div, empty, number, text, tone
from serving.dashboard.pictures import Pictured, pictures
from serving.dashboard.tokens import Pieces, coloured, tokens_of
from serving.dashboard.view import View

_FIRST = 8
"""Answers that are shown before one asks for the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    records: Sequence[RolloutRecord]
    pictured: Pictured
    pieces: Sequence[Pieces | None]


class Answers:
    """The place beside the list of groups where one of them is read."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._body = div("stack").style("gap: 16px")
        self._coloured = True
        self._shown: tuple[str, int, int] | None = None

    async def show(self, place: tuple[str, int, int]) -> None:
        """The group of that stage, step and occurrence."""
        self._shown = place
        try:
            group = await asyncio.to_thread(self._read, place)
        except HalyardError as error:
            group = str(error)
        if self._body.is_deleted or self._shown != place:
            return
        self._body.clear()
        with self._body:
            if isinstance(group, str):
                with div("sheet"):
                    empty("inbox", group)
            else:
                self._draw(group)

    def _read(self, place: tuple[str, int, int]) -> _Group:
        folder = self._view.folder
        if folder is None:
            raise HalyardError("the run has gone")
        records = read_group(folder, *place)
        pieces = tokens_of(folder, records)
        return _Group(records=records, pictured=pictures(folder, records[0]), pieces=pieces)

    def _draw(self, group: _Group) -> None:
        first = group.records[0]
        with card("Prompt") as head:
            with head:
                chip(first.task)
                if first.family and first.family != first.task:
                    chip(first.family)
                chip("thinking" if first.thinking else "direct", "accent")
                text(first.prompt_id, "mono faint clip push").style("max-width: 60%")
            with div("prompt"):
                for uri in group.pictured.images:
                    ui.html(f'<img src="{uri}" alt="image of the prompt">', sanitize=False)
                if group.pictured.missing:
                    text(group.pictured.missing, "no-image")
                with div("stack grow").style("min-width: 200px"):
                    text(first.question or "(no text beside the image)", "wrap").style("font-size: 15px")
                    if first.reference is not None:
                        with div("bits"):
                            text("right answer", "soft small")
                            text(first.reference, "mono wrap")
        with card(f"{len(group.records)} answers, best first") as head:
            with head:
                self._draw_legend(group)
            rest = div("stack")
            with rest:
                for record, pieces in list(zip(group.records, group.pieces, strict=True))[:_FIRST]:
                    self._draw_answer(record, pieces)
            if len(group.records) > _FIRST:
                more = button(f"show the other {len(group.records) - _FIRST}", "expand_more")

                def unfold() -> None:
                    more.delete()
                    with rest:
                        for record, pieces in list(zip(group.records, group.pieces, strict=True))[_FIRST:]:
                            self._draw_answer(record, pieces)

                more.on_click(unfold)

    def _draw_legend(self, group: _Group) -> None:
        with div("bits push small soft").style("gap: 8px"):
            if any(piece is not None for piece in group.pieces):
                text("likely")
                div("scale")
                text("unlikely")
                with ui.icon("info_outline").classes("hint"):
                    ui.tooltip("Each token by the probability that it was sampled with; point at one to read it.")
            else:
                text("no tokenizer is at hand: tokens are not coloured")

    def _draw_answer(self, record: RolloutRecord, pieces: Pieces | None) -> None:
        colour = tone(record.reward) if record.reward is not None else "var(--faint)"
        with div("answer").style(f"--tone: {colour}"):
            with div("bits"):
                text(number(record.reward) if record.reward is not None else "no verdict", "reward")
                for name, value in record.components.items():
                    chip(f"{name.replace('_', ' ')} {number(value, 2)}")
                if record.status != "ok":
                    chip(record.status, "bad")
                chip(record.state, "good" if record.state == "trained" else "warn")
                with div("bits push faint small num").style("gap: 12px"):
                    if record.advantage is not None:
                        text(f"advantage {record.advantage:+.2f}")
                    text(f"{len(record.response_token_ids)} tokens")
                    text(_versions(record))
                    if record.finish_reason != "stop":
                        chip(f"ended by {record.finish_reason}", "warn")
            if record.reason or record.why:
                text("; ".join(part for part in (record.reason, record.why) if part), "soft wrap small")
            if pieces is None:
                text(record.text, "tokens")
            else:
                ui.html(coloured(pieces), sanitize=False)


def _versions(record: RolloutRecord) -> str:
    if record.version_oldest == record.version_newest:
        return f"policy {record.version_oldest}"
    return f"policies {record.version_oldest} to {record.version_newest}"
