"""What the panels are drawn with: cards, chips, tiles, empty places, and how numbers and times are written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape

from nicegui import ui

PALETTE = ("#1c9bb0", "#e8963a", "#7c6ff0", "#e0567a", "#3fae74", "#5b8def", "#a58a6f", "#8d98a7")
"""Colours of curves and parts, told apart in light and dark."""
_ABSENT = "–"


@contextmanager
def card(title: str, *, hint: str = "", width: int = 12) -> Iterator[ui.element]:
    """A card so many twelfths wide; what the block makes lies under its title. Yields the row of the title."""
    with div(f"sheet w{width}"):
        with div("head") as head:
            if title:
                text(title, "title")
            if hint:
                with ui.icon("info_outline").classes("hint"):
                    ui.tooltip(hint).classes("text-body2").style("max-width: 320px")
        yield head


def div(classes: str = "") -> ui.element:
    """A plain box."""
    return ui.element("div").classes(classes)


def text(content: str, classes: str = "") -> ui.label:
    """A line of text."""
    return ui.label(content).classes(classes)


def chip(content: str, tone: str = "") -> ui.label:
    """A word on a coloured ground: `good`, `warn`, `bad`, `accent`, with ` live` for a beating dot."""
    return ui.label(content).classes(f"chip {tone}")


def empty(icon: str, title: str, more: str = "") -> None:
    """What stands where there is nothing yet: why, and what brings something."""
    with div("empty"):
        ui.icon(icon)
        text(title)
        if more:
            text(more, "small faint")


def button(label: str, icon: str = "", *, on_click: object = None, main: bool = False) -> ui.button:
    """A small button; `main` for the one that matters most."""
    made = ui.button(label, icon=icon or None, on_click=on_click)  # type: ignore[arg-type]
    return made.props("dense no-caps unelevated padding='2px 12px'" + ("" if main else " outline"))


def say(content: str, *, bad: bool = False) -> None:
    """A notice that goes away by itself."""
    ui.notify(content, type="negative" if bad else "positive", position="bottom", multi_line=len(content) > 80)


def number(value: float | None, digits: int = 3) -> str:
    """A number as people read it: 0.806, 1,234, 4.4e-07."""
    if value is None or value != value:
        return _ABSENT
    if value == 0:
        return "0"
    if abs(value) < 10**-digits or abs(value) >= 1e7:
        return f"{value:.1e}"
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{max(0, digits - whole)}f}"


def duration(seconds: float) -> str:
    """Seconds as people say them: 0.4 s, 12 s, 5 min 52 s, 3 h 2 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def clock(seconds: float) -> str:
    """A time of day, here: 17:04:55."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def ago(seconds: float) -> str:
    """How long a time is gone."""
    passed = max(0.0, time.time() - seconds)
    if passed >= 2 * 86400:
        return f"{passed / 86400:.0f} days ago"
    return "just now" if passed < 5 else f"{duration(passed)} ago"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> ui.html:
    """A table of texts; the columns in `right` are numbers."""
    side = ["r" if index in right else "" for index in range(len(head))]
    top = "".join(f"<th class='{side[index]}'>{escape(name)}</th>" for index, name in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td class='{side[index]}'>{escape(cell)}</td>" for index, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    content = f"<table class='grid-table'><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return ui.html(content, sanitize=False).classes("scroll-x")


def tone(share: float) -> str:
    """A colour from red over amber to green for 0 to 1."""
    return f"hsl({8 + 134 * min(1.0, max(0.0, share)):.0f} 62% 46%)"


def spark(values: Sequence[float], colour: str) -> str:
    """A small curve, as SVG."""
    if len(values) < 2:
        return "<svg></svg>"
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    points = " ".join(
        f"{100 * index / (len(values) - 1):.1f},{24 - 22 * (value - low) / span:.1f}"
        for index, value in enumerate(values)
    )
    line = f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='1.6' "
    return f"<svg viewBox='0 0 100 26' preserveAspectRatio='none'>{line}vector-effect='non-scaling-stroke'/></svg>"
