"""A curve's card: its lines, how its axis is drawn, and what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.dashboard.history import Line, keys_under, series, smooth, value
from serving.dashboard.parts import PALETTE

Points = Sequence[tuple[float, float]]
_GREY = "#8c97a4"
_FAINT = "rgba(130,145,160,.18)"
_WRITTEN = """value => typeof value !== "number" ? value : value === 0 ? "0"
  : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6 ? value.toExponential(1).replace(".0e", "e")
  : value.toLocaleString("en", {maximumFractionDigits: Math.abs(value) < 10 ? 3 : 1})"""
"""How a browser writes a number at an axis: 0.05, 1,600, 1e-7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart: lines by name and dotted key of a metrics line.

    `under` is a key whose names below it have a line each, but for those to `skip`.
    """

    title: str
    hint: str
    lines: Mapping[str, str]
    under: str = ""
    skip: tuple[str, ...] = ()
    log: bool = False
    stacked: bool = False

    def curves(self, lines: Sequence[Line]) -> dict[str, Points]:
        """Points by the name of the line; lines without any are left out."""
        keys = dict(self.lines)
        if self.under:
            keys |= {name.replace("_", " "): f"{self.under}.{name}" for name in self._names(lines)}
        found = {name: series(lines, key) for name, key in keys.items()}
        if self.log:
            found = {name: [(x, y) for x, y in points if y > 0] for name, points in found.items()}
        return {name: points for name, points in found.items() if points}

    def _names(self, lines: Sequence[Line]) -> list[str]:
        names = [name for name in keys_under(lines, self.under) if name not in self.skip]
        if not self.stacked:
            return names
        last = lines[-50:]
        return sorted(names, key=lambda name: -sum(value(line, f"{self.under}.{name}") or 0.0 for line in last))


def options(chart: Chart, curves: Mapping[str, Points], weight: float, other: Mapping[str, Points]) -> dict[str, Any]:
    """How ECharts draws it: smoothed lines over faint raw ones, a second run's dashed."""
    colours = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate([*curves, *other])}
    colours |= {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(curves)}
    drawn: list[dict[str, Any]] = []
    for name, points in curves.items():
        drawn += _lines(chart, name, points, colours[name], weight)
    drawn += [
        _line(f"{name} (other)", smooth(points, weight), colours[name], width=1.5) | {"z": 1, **_dashed(colours[name])}
        for name, points in other.items()
    ]
    names = [line["name"] for line in drawn if not line["name"].endswith("·")]
    return {
        "animation": False,
        "textStyle": {"fontFamily": "Inter, Roboto, system-ui, sans-serif"},
        "grid": {"left": 8, "right": 14, "top": 10, "bottom": 30 if len(names) > 1 else 8, "containLabel": True},
        "legend": _legend(names),
        "tooltip": tooltip(),
        "xAxis": axis() | {"type": "value", "min": "dataMin", "max": "dataMax", "splitLine": {"show": False}},
        "yAxis": axis() | ({"type": "log"} if chart.log else {"type": "value", "scale": not chart.stacked}),
        "series": drawn,
    }


def _lines(chart: Chart, name: str, points: Points, colour: str, weight: float) -> list[dict[str, Any]]:
    if chart.stacked:
        return [_line(name, points, colour, width=0) | {"stack": "all", "areaStyle": {"color": colour, "opacity": 0.8}}]
    if len(points) < 20:
        return [_line(name, points, colour) | {"showSymbol": True, "symbolSize": 6}]
    if weight == 0:
        return [_line(name, points, colour)]
    raw = _line(f"{name} ·", points, colour, width=1) | {"silent": True, "tooltip": {"show": False}}
    raw["lineStyle"]["opacity"] = 0.25
    return [raw, _line(name, smooth(points, weight), colour)]


def _line(name: str, points: Points, colour: str, *, width: float = 2) -> dict[str, Any]:
    rounded = [[x, float(f"{y:.5g}")] for x, y in points]
    style = {"width": width, "color": colour}
    return {
        "name": name,
        "type": "line",
        "data": rounded,
        "showSymbol": False,
        "symbol": "circle",
        "lineStyle": style,
        "itemStyle": {"color": colour},
        "emphasis": {"disabled": True},
    }


def _dashed(colour: str) -> dict[str, Any]:
    return {"lineStyle": {"width": 1.5, "type": [4, 4], "color": colour, "opacity": 0.8}}


def _legend(names: Sequence[str]) -> dict[str, Any]:
    return {
        "show": len(names) > 1,
        "type": "scroll",
        "data": [{"name": name} for name in names],
        "bottom": 0,
        "left": 4,
        "itemWidth": 12,
        "itemHeight": 3,
        "icon": "roundRect",
        "textStyle": {"color": _GREY, "fontSize": 11},
        "pageIconColor": _GREY,
        "pageTextStyle": {"color": _GREY},
        "pageIconSize": 10,
    }


def tooltip() -> dict[str, Any]:
    """What is said of the points under the pointer."""
    return {
        "trigger": "axis",
        "confine": True,
        ":valueFormatter": _WRITTEN,
        "backgroundColor": "rgba(20,28,38,.94)",
        "borderWidth": 0,
        "textStyle": {"color": "#eef2f6", "fontSize": 12},
        "axisPointer": {"lineStyle": {"color": _GREY, "type": "dashed"}},
    }


def axis() -> dict[str, Any]:
    """How an axis looks on light and on dark."""
    return {
        "axisLine": {"show": False},
        "axisTick": {"show": False},
        "axisLabel": {"color": _GREY, "fontSize": 11, "hideOverlap": True, ":formatter": _WRITTEN},
        "splitLine": {"lineStyle": {"color": _FAINT}},
        "splitNumber": 4,
    }
