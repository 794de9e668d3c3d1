"""All data enters here: the sources of a recipe become rows that have been checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from configs.data import (
    DataConfig,
    FileSource,
    HuggingFaceSource,
    JudgementSource,
    Source,
    StageSource,
    SyntheticSource,
)
from halyard.data import judgements, synthetic
from halyard.data.checks import Need, fault, too_long, unreadable
from halyard.data.files import Numbered, find, read_huggingface, read_jsonl, read_parquet
from halyard.data.layouts import LAYOUTS, native
from halyard.data.references import Unfit
from halyard.data.rows import BadRow, from_record
from halyard.data.types import Row
from halyard.data.videos import budgeted
from halyard.errors import DataError

if TYPE_CHECKING:
    from model.render import Renderer

StageRows = Callable[[str], Path]
StoredSource = FileSource | HuggingFaceSource | StageSource
LISTED = 5
"""Bad rows that a refusal names; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Checked rows by source, with the sources' weights, and the bad rows that were left out."""

    sources: tuple[Sequence[Row], ...]
    weights: tuple[float, ...]
    skipped: tuple[BadRow, ...] = ()

    @property
    def rows(self) -> list[Row]:
        """All rows, source after source."""
        return [row for rows in self.sources for row in rows]


@dataclass(frozen=True, slots=True)
class _Found:
    """A row, and where it was found."""

    file: str
    number: int
    row: Row

    def bad(self, reason: str) -> BadRow:
        return BadRow(file=self.file, row=self.number, reason=reason)


def load(
    data: DataConfig,
    *,
    renderer: Renderer | None,
    root: Path,
    stage_rows: StageRows,
    need: Need | None = None,
) -> Dataset:
    """The rows of all sources, checked: each image and video opens, no id comes twice, no prompt is too long.

    Paths are relative to `root`, the recipe's folder. `stage_rows` gives the file that an earlier stage of
    the pipeline wrote. `renderer` measures the prompts where `max_prompt_tokens` is set. `need` says what
    every row must have.

    Raises:
        DataError: a source is missing or has no good row; or a row is bad and the recipe refuses bad rows.
    """
    ids: set[str] = set()
    sources: list[tuple[Row, ...]] = []
    bad: list[BadRow] = []
    total = 0
    for source in data.sources:
        found = _read(source, root, stage_rows, data.video_frames)
        good, wrong = _sift(found, source, need, ids)
        if renderer is not None and data.max_prompt_tokens is not None:
            good, long = _measure(good, renderer, data.max_prompt_tokens)
            wrong += long
        if not good and data.on_bad_row == "skip":
            raise DataError(f"{_title(source)} has no good row: {_listed(wrong)}")
        sources.append(tuple(place.row for place in good))
        bad += wrong
        total += len(found)
    if bad and data.on_bad_row == "refuse":
        raise DataError(f"{len(bad)} of {total} rows are bad: {_listed(bad)}. Mend them, or set on_bad_row: skip")
    return Dataset(sources=tuple(sources), weights=tuple(source.weight for source in data.sources), skipped=tuple(bad))


def _read(source: Source, root: Path, stage_rows: StageRows, frames: int) -> list[_Found | BadRow]:
    """All rows of a source, as far as they can be parsed.

    Raises:
        DataError: there are none.
    """
    if isinstance(source, SyntheticSource | JudgementSource):
        rows = synthetic.make(source) if isinstance(source, SyntheticSource) else judgements.make(source)
        return [_Found(source.type, i, row) for i, row in enumerate(rows[: source.limit], start=1)]
    found = list(islice(_parse(source, root, stage_rows, frames), source.limit))
    if not found:
        raise DataError(f"{_title(source)} has no rows: point the source at data, or leave it out")
    return found


def _parse(source: StoredSource, root: Path, stage_rows: StageRows, frames: int) -> Iterator[_Found | BadRow]:
    layout = native if isinstance(source, StageSource) else LAYOUTS[source.layout]
    for file, folder, records in _files(source, root, stage_rows):
        for number, record in records:
            try:
                if isinstance(record, Unfit):
                    raise record
                row = from_record(layout(record), source=f"{file}:{number}", folder=folder)
                yield _Found(file, number, budgeted(row, frames))
            except Unfit as reason:
                yield BadRow(file=file, row=number, reason=str(reason))


def _files(source: StoredSource, root: Path, stage_rows: StageRows) -> Iterator[tuple[str, Path, Iterator[Numbered]]]:
    """Each file of a source: its name in messages, the folder that its images are relative to, its records."""
    if isinstance(source, HuggingFaceSource):
        yield source.path, root, read_huggingface(source.path, source.split, root)
    elif isinstance(source, StageSource):
        path = stage_rows(source.stage)
        if not path.is_file():
            raise DataError(f"{_title(source)} has left no rows: there is no file {path}")
        yield path.name, path.parent, read_jsonl(path)
    else:
        read = read_jsonl if source.type == "jsonl" else read_parquet
        for path in find(source.path, root):
            name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
            yield name, path.parent, read(path)


def _sift(
    found: Sequence[_Found | BadRow], source: Source, need: Need | None, ids: set[str]
) -> tuple[list[_Found], list[BadRow]]:
    """Good and bad rows; `ids` grows by those of the good ones. Generated pictures need not be opened."""
    good, bad = [], [place for place in found if isinstance(place, BadRow)]
    places = [place for place in found if isinstance(place, _Found)]
    stored = not isinstance(source, SyntheticSource | JudgementSource)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        blurred = pool.map(unreadable, [place.row for place in places]) if stored else [None] * len(places)
        for place, damage in zip(places, blurred, strict=True):
            reason = fault(place.row, need) or damage
            if reason is None and place.row.id in ids:
                reason = f"the id {place.row.id!r} belongs to a row before it"
            if reason is None:
                ids.add(place.row.id)
                good.append(place)
            else:
                bad.append(place.bad(reason))
    return good, sorted(bad, key=lambda row: (row.file, row.row))


def _measure(found: list[_Found], renderer: Renderer, most: int) -> tuple[list[_Found], list[BadRow]]:
    reasons = [too_long(place.row, renderer, most) for place in found]
    good = [place for place, reason in zip(found, reasons, strict=True) if reason is None]
    return good, [place.bad(reason) for place, reason in zip(found, reasons, strict=True) if reason is not None]


def _listed(bad: Sequence[BadRow]) -> str:
    return "; ".join(map(str, bad[:LISTED])) + (f"; and {len(bad) - LISTED} more" if len(bad) > LISTED else "")


def _title(source: Source) -> str:
    if isinstance(source, FileSource | HuggingFaceSource):
        return f"the {source.type} source {source.path}"
    return f"the stage {source.stage!r}" if isinstance(source, StageSource) else f"the {source.type} source"
