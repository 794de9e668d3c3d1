"""Snapshots with their lineage, what is served of them, and the buttons that change that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from halyard.runs.reading import snapshots as reading
from serving.aliases import Alias
from serving.catalogue import COMPUTED, Snapshot
from serving.dashboard.charts import axis, tooltip
from serving.dashboard.orders import Orders
from serving.dashboard.parts import PALETTE, ago, button, card, chip, clock, div, number, text
from serving.dashboard.view import Panel, View


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A snapshot as the page shows it: who serves it, and how it does."""

    snapshot: Snapshot
    made: reading.SnapshotView | None
    engines: tuple[str, ...]
    aliases: tuple[str, ...]
    requests: int
    errors: int
    seconds: float | None
    liked: float | None


class Snapshots(Panel):
    """The snapshots of the run that is looked at, newest first, and the aliases that lead to them."""

    name, label, icon = "snapshots", "Snapshots", "account_tree"

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._orders = Orders(view, self.again)

    def read(self) -> Any:
        """Snapshots and aliases of the run, or of all that is served where there is no run."""
        service = self.view.desk.service
        folder = self.view.folder
        made = {one.version: one for one in reading.snapshots(folder)} if folder else {}
        there = [one for one in service.catalogue.all() if self.view.run in (None, one.run)]
        if not there:
            if self.view.run not in (None, *service.catalogue.runs):
                return f"no snapshot of {self.view.run} is served here: halyard serve {folder}"
            return "no snapshot yet: the first appears when a stage is done"
        rows = tuple(self._row(one, made.get(one.version)) for one in reversed(there))
        aliases = tuple(alias for alias in service.aliases.all() if self.view.run in (None, alias.run))
        return rows, aliases, tuple(service.catalogue.problems.values()), self.view.may("operate")

    def draw(self, found: Any) -> None:
        """The line of versions, and beside it the aliases."""
        rows, aliases, problems, may = found
        with div("columns"):
            with card("Versions", hint="Newest first. A version is the same weights for ever.", width=7):
                if not may:
                    text(f"The key {self.view.caller.name} may look, and not change what is served.", "soft small")
                with div("lineage"):
                    for row in rows:
                        self._draw_version(row, may)
            with div("w5 stack").style("gap: 16px"):
                with card("Aliases", hint="Names that lead to a version: what clients ask for."):
                    for alias in aliases:
                        self._draw_alias(alias, may)
                    if all(alias.name in COMPUTED for alias in aliases):
                        text("Nothing has been promoted yet.", "soft small")
                _draw_accuracy(rows)
                if problems:
                    with card("Left out"):
                        for problem in problems:
                            text(problem, "small wrap")

    def _row(self, one: Snapshot, made: reading.SnapshotView | None) -> _Row:
        service = self.view.desk.service
        figures = service.figures[one.id].to_json() if one.id in service.figures else {}
        return _Row(
            snapshot=one,
            made=made,
            engines=tuple(slot.engine.name for slot in service.pool.slots if slot.holds(one)),
            aliases=tuple(service.aliases.leading_to(one)),
            requests=figures.get("requests", 0),
            errors=figures.get("errors", 0),
            seconds=(figures.get("seconds") or {}).get("p50"),
            liked=(figures.get("feedback") or {}).get("mean"),
        )

    def _draw_version(self, row: _Row, may: bool) -> None:
        one = row.snapshot
        with div("version" + (" hot" if row.engines else "")):
            div("rail")
            with div("body stack").style("gap: 5px"):
                with div("bits"):
                    text(one.version, "mono").style("font-weight: 620; font-size: 14px")
                    for alias in row.aliases:
                        chip("@" + alias.partition("@")[2], "accent")
                    if row.engines:
                        chip("served by " + ", ".join(row.engines), "good")
                    if one.role != "policy":
                        chip(one.role)
                    if one.base is not None:
                        chip(f"adapter over {one.base.version if one.base.run == one.run else one.base.id}")
                    with div("bits push").style("gap: 6px"):
                        if may:
                            button("Promote", on_click=lambda: self._orders.promote(one))
                            button("Pin", on_click=lambda: self._orders.pin(one))
                with div("bits small soft").style("gap: 4px 14px"):
                    for said in _said(row):
                        text(said, "num")

    def _draw_alias(self, alias: Alias, may: bool) -> None:
        with div("stack").style("gap: 4px; padding-bottom: 10px; border-bottom: 1px solid var(--line)"):
            with div("bits"):
                text("@" + alias.name, "mono").style("font-weight: 620")
                for version, share in alias.shares.items():
                    chip(version if share == 1 else f"{version} {share:.0%}", "" if share == 1 else "warn")
                if alias.pinned:
                    chip("pinned", "warn")
                with div("bits push").style("gap: 6px"):
                    if may and alias.pinned:
                        button("Unpin", on_click=lambda: self._orders.unpin(alias))
                    if may and (alias.previous or len(alias.shares) > 1) and not alias.pinned:
                        label = "End canary" if len(alias.shares) > 1 else f"Roll back to {alias.previous[-1]}"
                        button(label, on_click=lambda: self._orders.rollback(alias))
            if not alias.changes:
                text("follows the run by itself" if alias.name in COMPUTED else "", "faint small")
            for change in alias.changes[:-4:-1]:
                to = ", ".join(change.shares)
                why = f": {change.why}" if change.why else ""
                text(f"{clock(change.time)} {change.who} · {change.verb} {to}{why}", "faint small wrap")


def _said(row: _Row) -> list[str]:
    """What is known of a snapshot, in a few words each."""
    one, said = row.snapshot, []
    if row.made is not None and row.made.stage:
        step = f", step {row.made.step:,}" if row.made.step else ""
        said.append(f"{row.made.stage} ({row.made.type}{step})")
    said.append(f"from {one.parent}" if one.parent else "from random or given weights")
    if one.score is not None:
        said.append(f"accuracy {one.score:.1%}")
    said.append(ago(one.created))
    said.append(one.digest[:10])
    if row.requests:
        said.append(f"{row.requests} requests, {row.errors} failed, median {number(row.seconds, 2)} s")
    if row.liked is not None:
        said.append(f"feedback {row.liked:+.2f}")
    return said


_NO_LINE = {"axisLine": {"show": False}, "axisTick": {"show": False}}


def _draw_accuracy(rows: Sequence[_Row]) -> None:
    """Accuracy on each benchmark after each version: did the stage help, and whom did it hurt?"""
    versions = [row.snapshot.version for row in reversed(rows) if row.made is not None and row.made.evaluation]
    cells: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        for cell in (row.made.evaluation or {}).get("cells", ()) if row.made else ():
            if cell.get("family") is None and cell.get("pass_at_1") is not None:
                cells.setdefault(f"{cell['benchmark']}, {cell['mode']}", {})[row.snapshot.version] = cell
    if not cells:
        return
    hint = "Share of right answers (pass@1) to the benchmarks of the recipe, after each stage that was measured."
    with card("Benchmarks", hint=hint):
        grey = {"color": "#8c97a4", "fontSize": 11}
        series = [
            {
                "name": name,
                "type": "line",
                "symbolSize": 7,
                "lineStyle": {"width": 2},
                "data": [round(found[one]["pass_at_1"], 4) if one in found else None for one in versions],
                "connectNulls": True,
            }
            for name, found in sorted(cells.items())
        ]
        options = {
            "animation": False,
            "color": list(PALETTE),
            "grid": {"left": 8, "right": 16, "top": 10, "bottom": 54, "containLabel": True},
            "legend": {
                "bottom": 0,
                "left": 0,
                "textStyle": grey,
                "itemHeight": 3,
                "itemWidth": 12,
                "icon": "roundRect",
            },
            "tooltip": tooltip(),
            "xAxis": {
                "type": "category",
                "data": versions,
                "axisLabel": grey | {"interval": 0, "rotate": 22},
                **_NO_LINE,
            },
            "yAxis": axis() | {"type": "value", "min": 0, "max": 1, "interval": 0.25},
            "series": series,
        }
        ui.echart(options).style("height: 270px; width: 100%").props('role=img aria-label="benchmarks by version"')
