"""Curves of a stage: what is learnt, how far engine and learner drift apart, and where the time goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import events, ui

from halyard.errors import ConfigError
from halyard.runs.reading.runs import StageView, show_run
from serving.dashboard.charts import Chart, Points, options
from serving.dashboard.parts import card, div, number, text
from serving.dashboard.plots import CHARTS
from serving.dashboard.view import Panel, View

Curve = Mapping[str, Points]


class Curves(Panel):
    """Every curve of a stage, smoothed as wanted, with another run's beside it."""

    name, label, icon = "curves", "Curves", "show_chart"

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._weight = 0.6
        self._other = ""
        self._curves: dict[str, Curve] = {}
        self._beside: dict[str, Curve] = {}
        self._drawn: list[tuple[Chart, ui.echart, ui.label]] = []

    def read(self) -> Any:
        """The stages that have metrics, the one that is shown, and the charts that have something to show."""
        folder = self.view.folder
        if folder is None:
            return self.view.runless
        run = show_run(folder)
        there = [stage for stage in run.stages if stage.type in CHARTS and stage.step]
        if not there:
            return "no step has been taken yet; curves begin with the first"
        stage = _chosen(there, self.view.stage)
        self.view.stage = stage.name
        lines = self.view.history.lines(folder, stage.name)
        self._curves = {chart.title: chart.curves(lines) for chart in CHARTS[stage.type]}
        self._beside = self._of_other(stage)
        titles = tuple(title for title, curves in self._curves.items() if curves)
        return tuple(one.name for one in there), stage.name, stage.type, titles, tuple(self.view.folders())

    def draw(self, found: Any) -> None:
        """The choices, and a card for each chart."""
        stages, shown, kind, titles, runs = found
        with div("bits"):
            with div("scroll-x").style("width: auto; max-width: 100%"):
                picked = ui.toggle(list(stages), value=shown, on_change=self._pick)
                picked.props("dense no-caps unelevated toggle-color=primary padding='2px 12px'")
            with div("bits push"):
                self._draw_choices(runs)
        self._drawn = []
        with div("columns"):
            for chart in CHARTS[kind]:
                if chart.title in titles:
                    self._add(chart)
        self._update()

    async def refresh(self) -> None:
        """Draw anew where stages or charts have come; else give the charts their new points."""
        await super().refresh()
        if not self.body.is_deleted and not isinstance(self._shown, str):
            self._update()

    def _draw_choices(self, runs: Sequence[str]) -> None:
        text("smooth", "soft small")
        slider = ui.slider(min=0, max=0.95, step=0.05, value=self._weight, on_change=self._smooth)
        slider.style("width: 110px").props("dense aria-label='smoothing of curves'")
        others = [name for name in runs if name != self.view.run]
        if others:
            choices = {"": "no other run"} | {name: name for name in others}
            box = ui.select(choices, value=self._other, on_change=self._compare)
            box.props("dense outlined options-dense label='beside it'").style("min-width: 160px")

    def _add(self, chart: Chart) -> None:
        with card(chart.title, hint=chart.hint, width=4) as head:
            with head:
                last = text("", "soft num small push")
            drawn = ui.echart({}, on_point_click=self._to_rollouts)
            drawn.classes("chart").props(f'role=img aria-label="{chart.title}"')
        self._drawn.append((chart, drawn, last))

    def _update(self) -> None:
        for chart, drawn, last in self._drawn:
            curves = self._curves.get(chart.title, {})
            fresh = options(chart, curves, self._weight, self._beside.get(chart.title, {}))
            if drawn.options != fresh:
                drawn.options.clear()
                drawn.options.update(fresh)
                drawn.update()
            last.set_text(_last(chart, curves))

    def _of_other(self, stage: StageView) -> dict[str, Curve]:
        """The same charts of the stage of that name in the other run, where it has one."""
        folder = self.view.folders().get(self._other)
        if folder is None:
            return {}
        try:
            lines = self.view.history.lines(folder, stage.name)
        except ConfigError:
            return {}
        return {chart.title: chart.curves(lines) for chart in CHARTS[stage.type] if not chart.stacked}

    async def _pick(self, event: events.ValueChangeEventArguments) -> None:
        self.view.stage = event.value
        await self.refresh()

    def _smooth(self, event: events.ValueChangeEventArguments) -> None:
        self._weight = event.value
        self._update()

    async def _compare(self, event: events.ValueChangeEventArguments) -> None:
        self._other = event.value
        await self.refresh()

    def _to_rollouts(self, event: events.EChartPointClickEventArguments) -> None:
        """Show the answers of the step that was clicked at."""
        point = event.data or event.value
        if isinstance(point, list) and point:
            self.view.step = int(point[0])
            self.view.go("rollouts")


def _chosen(there: Sequence[StageView], wanted: str | None) -> StageView:
    """The stage that was asked for; else the last one that is trained by rewards, else the last."""
    for stage in there:
        if stage.name == wanted:
            return stage
    learnt = [stage for stage in there if stage.type == "rl"]
    return (learnt or there)[-1]


def _last(chart: Chart, curves: Curve) -> str:
    """The newest value of the first curve, where there is one that leads."""
    if chart.stacked or not curves:
        return ""
    return number(next(iter(curves.values()))[-1][1])
