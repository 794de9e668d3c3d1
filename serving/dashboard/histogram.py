"""How many answers got which reward; a click at a bar asks for those alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nicegui import events, ui

from serving.dashboard.parts import button, div, number, text, tone

Bounds = tuple[float | None, float | None]
_BINS = 10


def draw_histogram(rewards: Sequence[float | None], asked: Bounds, ask: Callable[[Bounds], Awaitable[None]]) -> None:
    """The bars of a step's rewards, and the range that is asked for with a way out of it."""
    given = [reward for reward in rewards if reward is not None]
    if asked != (None, None):
        with div("bits"):
            text(f"rewards from {number(asked[0])} to {number(asked[1])}", "small")
            button("all rewards", "close", on_click=lambda: ask((None, None)))
        return
    if not given:
        return
    low, high = min(0.0, *given), max(1.0, *given)
    width = (high - low) / _BINS
    counts = [0] * _BINS
    for reward in given:
        counts[min(_BINS - 1, int((reward - low) / width))] += 1

    async def pick(event: events.EChartPointClickEventArguments) -> None:
        index = event.data_index or 0
        await ask((low + index * width, low + (index + 1) * width - (1e-9 if index < _BINS - 1 else 0.0)))

    bars = [
        {"value": count, "itemStyle": {"color": tone(index / (_BINS - 1)), "borderRadius": [3, 3, 0, 0]}}
        for index, count in enumerate(counts)
    ]
    names = [f"{low + index * width:.2g}" for index in range(_BINS)]
    faint = {"color": "#8c97a4", "fontSize": 10}
    ui.echart(
        {
            "animation": False,
            "grid": {"left": 4, "right": 4, "top": 6, "bottom": 18},
            "xAxis": {
                "type": "category",
                "data": names,
                "axisTick": {"show": False},
                "axisLine": {"show": False},
                "axisLabel": faint,
            },
            "yAxis": {"show": False},
            "tooltip": {"trigger": "axis", "confine": True, "axisPointer": {"type": "shadow"}},
            "series": [{"type": "bar", "name": "answers", "data": bars, "barCategoryGap": "12%", "barMinHeight": 1}],
        },
        on_point_click=pick,
    ).style("height: 84px; width: 100%").props('role=img aria-label="answers by reward"')
