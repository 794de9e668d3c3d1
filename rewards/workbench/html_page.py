"""A page as one HTML file that needs nothing else: no network, no fonts, light and dark."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from html import escape

from rewards.workbench.page import Cell, Curve, Figure, Page, Row, Table, written

LONGEST = 4000
"""Characters of a text that are shown: an endless answer must not make an endless page."""
WIDTH, HEIGHT, LEFT, BOTTOM = 860, 240, 60, 26
COLOURS = ("var(--dim)", "var(--accent)", "var(--warn)")

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #66707f; --paper: #f6f7f9; --card: #fff; --line: #e2e6eb;
  --accent: #2563c9; --good: #1a7f4b; --bad: #c0342b; --warn: #a86400; --bad-back: #fdf1f0; --warn-back: #fdf6e9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --dim: #98a3b3; --paper: #14181e; --card: #1c222a;
  --line: #2e3641; --accent: #7fb0ff; --good: #5cc98e; --bad: #ff8a80; --warn: #eab25b; --bad-back: #35211f;
  --warn-back: #332a1a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 36px 24px 80px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 40px 0 2px; }
p { margin: 4px 0 0; color: var(--dim); }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: 12px; margin-top: 24px; }
.figure, .frame { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.figure { padding: 12px 16px; }
.figure b { display: block; font-size: 22px; font-weight: 600; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.figure span { color: var(--dim); font-size: 13px; display: block; line-height: 1.35; }
.good b { color: var(--good); } .bad b { color: var(--bad); } .warn b { color: var(--warn); }
.frame { margin-top: 10px; overflow-x: auto; }
.frame:has(table:not(.wide)) { width: fit-content; max-width: 100%; }
.frame svg { display: block; width: 100%; height: auto; padding: 12px; }
table { border-collapse: collapse; font-size: 14px; }
table.wide { width: 100%; }
td.s { white-space: nowrap; }
th { text-align: left; color: var(--dim); font-weight: 500; font-size: 13px; white-space: nowrap; }
th, td { padding: 7px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td { overflow-wrap: anywhere; min-width: 56px; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td pre { margin: 0; font: 12.5px/1.45 ui-monospace, monospace; white-space: pre-wrap; max-height: 9.5em;
  overflow-y: auto; min-width: 220px; }
tr.bad td { background: var(--bad-back); } tr.warn td { background: var(--warn-back); }
tr.bad td:first-child { box-shadow: inset 3px 0 var(--bad); }
tr.warn td:first-child { box-shadow: inset 3px 0 var(--warn); }
input { margin-top: 10px; width: 100%; max-width: 340px; padding: 7px 11px; font: inherit; font-size: 14px;
  color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
mark { background: var(--warn-back); color: var(--warn); border-radius: 3px; font-size: 11px; padding: 0 2px; }
svg text { fill: var(--dim); font: 12px system-ui, sans-serif; }
"""
SCRIPT = """
for (const box of document.querySelectorAll("input")) box.addEventListener("input", () => {
  const words = box.value.toLowerCase().split(/\\s+/);
  for (const row of box.nextElementSibling.querySelectorAll("tbody tr"))
    row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
});
"""
SHORT = 32
"""Characters of a cell that is never broken into lines."""
FILTERED = 12
"""Rows from which on a table has a field to search in it."""


def to_html(page: Page) -> str:
    """The page as a whole HTML document; what cannot be seen in a text is shown by its code point."""
    parts = [
        f"<header><h1>{_text(page.title)}</h1><p>{_text(page.subtitle)}</p></header>",
        f'<div class="figures">{"".join(map(_figure, page.figures))}</div>',
        *map(_curve, page.curves),
        *map(_table, page.tables),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(page.title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>\n{chr(10).join(parts)}\n</main><script>{SCRIPT}</script></body></html>\n"
    )


def _figure(figure: Figure) -> str:
    remark = f"<span>{_text(figure.remark)}</span>" if figure.remark else ""
    return (
        f'<div class="figure {figure.tone}"><b>{_text(figure.value)}</b><span>{_text(figure.name)}</span>{remark}</div>'
    )


def _table(table: Table) -> str:
    numeric = [
        all(row.cells[i] is None or isinstance(row.cells[i], int | float) for row in table.rows)
        for i in range(len(table.columns))
    ]
    head = "".join(
        f'<th class="{"n" if number else ""}">{_text(name)}</th>'
        for name, number in zip(table.columns, numeric, strict=True)
    )
    body = "".join(_row(row, table, numeric) for row in table.rows)
    remark = f"<p>{_text(table.remark)}</p>" if table.remark else ""
    search = '<input type="search" placeholder="Search in this table">' if len(table.rows) >= FILTERED else ""
    width = "wide" if table.long else ""
    frame = (
        f'<div class="frame"><table class="{width}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
    return f"<section><h2>{_text(table.title)}</h2>{remark}{search}{frame}</section>"


def _row(row: Row, table: Table, numeric: list[bool]) -> str:
    cells = "".join(
        _cell(cell, name in table.long, number)
        for cell, name, number in zip(row.cells, table.columns, numeric, strict=True)
    )
    return f'<tr class="{row.tone}">{cells}</tr>\n'


def _cell(cell: Cell, long: bool, number: bool) -> str:
    text = _text(written(cell))
    kind = "n" if number else "s" if len(text) <= SHORT else ""
    return f"<td><pre>{text}</pre></td>" if long else f'<td class="{kind}">{text}</td>'


def _text(text: str) -> str:
    """Text that is safe and whole: cut when it is very long, and with marks for what the eye would miss."""
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text):,} characters)"
    return "".join(_visible(letter) for letter in cut)


def _visible(letter: str) -> str:
    hidden = letter != "\n" and unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn")
    return f"<mark>U+{ord(letter):04X}</mark>" if hidden else escape(letter)


def _curve(curve: Curve) -> str:
    """Lines as SVG, with the lowest and highest value of all on the left."""
    values = [value for series in curve.series.values() for value in series]
    low, high = min(values), max(values)
    span = high - low or 1.0
    lines = "".join(_line(i, name, series, low, span) for i, (name, series) in enumerate(curve.series.items()))
    return (
        f'<section><h2>{_text(curve.title)}</h2><div class="frame"><svg viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"{''.join(_axis(curve, low, high))}{lines}</svg></div></section>"
    )


def _line(index: int, name: str, series: Sequence[float], low: float, span: float) -> str:
    """A line with its name; the first is broad and pale, so that it shows behind one that follows it."""
    colour = COLOURS[index % len(COLOURS)]
    width, more = ("6", ' stroke-opacity="0.4"') if index == 0 else ("2", "")
    return (
        f'<polyline fill="none" stroke="{colour}" stroke-width="{width}"{more} points="{_points(series, low, span)}"/>'
        f'<text x="{LEFT + 8 + 150 * index}" y="14" style="fill:{colour}">— {_text(name)}</text>'
    )


def _points(series: Sequence[float], low: float, span: float) -> str:
    across = (WIDTH - LEFT - 10) / max(1, len(series) - 1)
    up = HEIGHT - BOTTOM - 30
    return " ".join(
        f"{LEFT + i * across:.1f},{HEIGHT - BOTTOM - (value - low) / span * up:.1f}" for i, value in enumerate(series)
    )


def _axis(curve: Curve, low: float, high: float) -> Iterator[str]:
    ground = HEIGHT - BOTTOM
    for y, value in ((ground, low), (30, high)):
        yield f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y}" y2="{y}" stroke="var(--line)"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.3g}</text>'
    yield f'<text x="{LEFT}" y="{HEIGHT - 6}">{_text(curve.axis)} {curve.points[0]:g}</text>'
    yield f'<text x="{WIDTH - 10}" y="{HEIGHT - 6}" text-anchor="end">{curve.points[-1]:g}</text>'
