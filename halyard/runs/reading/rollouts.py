"""Rollouts of a run by step, reward, task and text: a page at a time, one file at a time, only the columns it takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from halyard.data.images import open_image
from halyard.errors import ConfigError
from halyard.runs import rollouts
from halyard.runs.layout import rollouts_path, stage_path
from halyard.runs.reading.runs import recipe, stage_folder
from halyard.runs.rollouts import RolloutRecord, RolloutState

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_FILES = 200
"""Files that are looked at for one page; what is rare takes several pages to be found."""
_EQUAL = ("task", "family", "state", "prompt_id", "thinking")
_SHOWN = (
    *("step", "occurrence", "index", "prompt_id", "task", "family", "thinking", "question", "reference", "text"),
    *("finish_reason", "reward", "status", "reason", "state", "why", "advantage", "version_oldest", "version_newest"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutQuery:
    """What to look for; what is None is not asked. Steps and rewards are inclusive bounds.

    `stage` None is the newest with rollouts; `text` a part of question or answer, in any case; `after` the `next`
    of the page before. The newest step comes first, unless `oldest_first`.
    """

    stage: str | None = None
    first_step: int | None = None
    last_step: int | None = None
    min_reward: float | None = None
    max_reward: float | None = None
    task: str | None = None
    family: str | None = None
    state: RolloutState | None = None
    prompt_id: str | None = None
    thinking: bool | None = None
    text: str | None = None
    oldest_first: bool = False
    limit: int = 50
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRow:
    """A rollout as a list shows it: fields of `RolloutRecord`, with the numbers of tokens and images in their place."""

    stage: str
    step: int
    occurrence: int
    index: int
    prompt_id: str
    task: str
    family: str
    thinking: bool
    question: str
    reference: str | None
    text: str
    finish_reason: str
    reward: float | None
    components: dict[str, float]
    status: str
    reason: str
    state: Literal["trained", "dropped", "failed"]
    why: str
    advantage: float | None
    tokens: int
    images: int
    version_oldest: int
    version_newest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPage:
    """Rollouts that were asked for. `next` is where the page after this one begins, None after the last.

    `searched` are the first and last step that were looked at. A page may have fewer rollouts than its limit, or
    none, and still a next one: it looked at as many files as one page may.
    """

    rollouts: tuple[RolloutRow, ...]
    next: str | None
    searched: tuple[int, int] | None


def find_rollouts(run: Path, query: RolloutQuery) -> RolloutPage:
    """A page of the rollouts that a query asks for.

    Raises:
        ConfigError: there is no such stage, or `after` is not what a page gave.
    """
    stage = query.stage or _newest_stage(run)
    if stage is None:
        return RolloutPage(rollouts=(), next=None, searched=None)
    folder = stage_folder(run, stage)
    step, row = _place(query.after)
    steps = [one for one in _steps(folder) if _asked(one, query)]
    if not query.oldest_first:
        steps.reverse()
    if step is not None:
        steps = steps[next((i for i, one in enumerate(steps) if _reached(one, step, query)), len(steps)) :]
    found: list[RolloutRow] = []
    for count, one in enumerate(steps):
        room, skip = query.limit - len(found), row if one == step else 0
        if count == MOST_FILES or room == 0:
            return _page(found, f"{one}:0", steps[:count])
        rows, more = _look(folder, stage, one, query, skip, room)
        found += rows
        if more is not None:
            return _page(found, f"{one}:{more}", steps[: count + 1])
    return _page(found, None, steps)


def steps_with_rollouts(run: Path, stage: str) -> list[int]:
    """The steps of a stage that have rollouts.

    Raises:
        ConfigError: there is no such stage.
    """
    return _steps(stage_folder(run, stage))


def read_group(run: Path, stage: str, step: int, occurrence: int) -> list[RolloutRecord]:
    """The answers to one prompt, whole, with their tokens: the best reward first, those without one last.

    Raises:
        ConfigError: there is no such stage, step or prompt.
    """
    folder = stage_folder(run, stage)
    path = rollouts_path(folder, step)
    if not path.is_file():
        raise ConfigError(f"step {step} of {stage} has no rollouts; there are those of {_shown(_steps(folder))}")
    file = pq.ParquetFile(path)
    numbers = file.read(columns=["occurrence"]).column(0).to_pylist()
    places = [place for place, number in enumerate(numbers) if number == occurrence]
    rows = file.read().take(pa.array(places, pa.int64())).to_pylist()
    if not rows:
        raise ConfigError(f"step {step} of {stage} has no rollouts of occurrence {occurrence}")
    missing = dict.fromkeys(("metadata", "images"))
    group = [rollouts.from_row({**missing, **row}, folder) for row in rows]
    return sorted(group, key=lambda one: (one.reward is None, -(one.reward or 0.0), one.index))


def open_prompt_image(run: Path, stage: str, step: int, occurrence: int, number: int) -> Image:
    """An image of a prompt, by its number from 0.

    Raises:
        ConfigError: there is no such prompt or image.
        DataError: the image's file has gone, or is damaged.
    """
    images = read_group(run, stage, step, occurrence)[0].images
    if not 0 <= number < len(images):
        raise ConfigError(f"the prompt of occurrence {occurrence} has {len(images)} images, and no number {number}")
    return open_image(images[number])


def _look(
    folder: Path, stage: str, step: int, query: RolloutQuery, skip: int, room: int
) -> tuple[list[RolloutRow], int | None]:
    """At most `room` rollouts of a step from row `skip` on, and the row to go on from when there are more."""
    try:
        file = pq.ParquetFile(rollouts_path(folder, step))
    except FileNotFoundError:  # a resume cut it off this moment
        return [], None
    names = set(file.schema_arrow.names)
    wanted = [place for place in _matches(file, query) if place >= skip]
    taken = wanted[:room]
    if not taken:
        return [], None
    columns = [*_SHOWN, "components", "response_token_ids", *({"images"} & names)]
    rows = file.read(columns=columns).take(pa.array(taken)).to_pylist()
    return [_row(row, stage) for row in rows], wanted[room] if len(wanted) > room else None


def _matches(file: pq.ParquetFile, query: RolloutQuery) -> list[int]:
    """Row numbers of a file that a query asks for; texts are read only where all else fits."""
    rows = zip(*(file.read(columns=[name]).column(0).to_pylist() for name in ("reward", *_EQUAL)), strict=True)
    asked = [(place, value) for place, name in enumerate(_EQUAL) if (value := getattr(query, name)) is not None]
    places = [
        number
        for number, (reward, *values) in enumerate(rows)
        if all(values[place] == value for place, value in asked) and _paid(reward, query)
    ]
    if not query.text or not places:
        return places
    text = query.text.casefold()
    held = file.read(columns=["question", "text"]).take(pa.array(places)).to_pylist()
    pairs = zip(places, held, strict=True)
    return [place for place, row in pairs if any(text in value.casefold() for value in row.values())]


def _paid(reward: float | None, query: RolloutQuery) -> bool:
    """Whether a reward is in the range that is asked for; a failed verdict is in none."""
    if query.min_reward is None and query.max_reward is None:
        return True
    low, high = query.min_reward, query.max_reward
    return reward is not None and (low is None or reward >= low) and (high is None or reward <= high)


def _row(row: dict[str, Any], stage: str) -> RolloutRow:
    tokens, images = len(row.pop("response_token_ids")), json.loads(row.pop("images", None) or "[]")
    components = json.loads(row.pop("components"))
    return RolloutRow(stage=stage, components=components, tokens=tokens, images=len(images), **row)


def _newest_stage(run: Path) -> str | None:
    stages = list(enumerate((one["name"] for one in recipe(run)["stages"]), start=1))
    folders = ((name, stage_path(run, index, name)) for index, name in reversed(stages))
    return next((name for name, folder in folders if rollouts.files(folder)), None)


def _steps(folder: Path) -> list[int]:
    return [int(file.stem) for file in rollouts.files(folder)]


def _asked(step: int, query: RolloutQuery) -> bool:
    return (query.first_step is None or step >= query.first_step) and (
        query.last_step is None or step <= query.last_step
    )


def _reached(step: int, goal: int, query: RolloutQuery) -> bool:
    return step >= goal if query.oldest_first else step <= goal


def _place(after: str | None) -> tuple[int | None, int]:
    """The step and row that a page's `next` stands for."""
    if after is None:
        return None, 0
    step, colon, row = after.partition(":")
    if not (colon and step.isdecimal() and row.isdecimal() and len(after) < 40):
        raise ConfigError(f"{after!r} is no place to go on from, expected what `next` of the page before was")
    return int(step), int(row)


def _page(found: list[RolloutRow], after: str | None, steps: list[int]) -> RolloutPage:
    searched = (min(steps), max(steps)) if steps else None
    return RolloutPage(rollouts=tuple(found), next=after, searched=searched)


def _shown(steps: list[int]) -> str:
    return f"steps {steps[0]} to {steps[-1]}" if steps else "no step"
