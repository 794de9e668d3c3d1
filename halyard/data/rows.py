r"""The native schema: rows to and from JSON records.

    {"id": "sum-17", "messages": [{"role": "user", "content": "add them.", "images": ["a.png"]},
                                  {"role": "assistant", "content": "\boxed{5}", "reasoning": "2 + 3 = 5."}],
     "answer": "5", "task": "math", "family": "sum", "metadata": {}}

`prompt` (text or messages) may stand for `messages`. docs/data.md describes every key.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halyard.data.conversation import parse_messages, place_images, place_videos
from halyard.data.references import Unfit, image_record, video_record
from halyard.data.types import Message, Row
from halyard.tasks import TASKS

KEYS = ("id", "messages", "prompt", "images", "videos", "answer", "task", "family", "source", "metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that cannot be used: where it is (rows count from 1), and why."""

    file: str
    row: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.row}: {self.reason}"


def to_record(row: Row) -> dict[str, Any]:
    """The row as a JSON-able record of the native schema; what is empty is left out."""
    record: dict[str, Any] = {
        "id": row.id,
        "messages": [_message_record(message) for message in row.messages],
        "answer": row.answer,
        "task": row.task,
        "family": row.family,
        "source": row.source,
        "metadata": dict(row.metadata),
    }
    return {key: value for key, value in record.items() if value not in (None, "", {})}


def _message_record(message: Message) -> dict[str, Any]:
    record: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.images:
        record["images"] = [image_record(ref) for ref in message.images]
    if message.videos:
        record["videos"] = [video_record(ref) for ref in message.videos]
    if message.reasoning is not None:
        record["reasoning"] = message.reasoning
    return record


def from_record(record: Mapping[str, Any], *, source: str, folder: Path) -> Row:
    """The row that a native record describes; `source` (FILE:ROW) is its id where it has none.

    Paths of images and videos are relative to `folder`.

    Raises:
        Unfit: the record breaks the schema; the message is the reason.
    """
    for key in record:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1)
            raise Unfit(
                f"unknown key {key!r}" + (f", did you mean {near[0]!r}?" if near else f": known are {', '.join(KEYS)}")
            )
    task = record.get("task") or "math"
    if task not in TASKS:
        raise Unfit(f"unknown task {task!r}: known are {', '.join(TASKS)}")
    metadata = record.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise Unfit(f"metadata is {metadata!r}, expected an object")
    return Row(
        id=_identity(record.get("id"), source),
        messages=_messages(record, folder),
        answer=_answer(record.get("answer")),
        task=task,
        family=str(record.get("family") or ""),
        source=str(record.get("source") or source),
        metadata=dict(metadata),
    )


def _identity(value: Any, source: str) -> str:
    if value is None or value == "":
        return source
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unfit(f"the id is {value!r}, expected text or a whole number")
    return str(value)


def _messages(record: Mapping[str, Any], folder: Path) -> tuple[Message, ...]:
    both = [key for key in ("messages", "prompt") if record.get(key) is not None]
    if len(both) == 2:
        raise Unfit("it has both messages and prompt: give one of them")
    conversation = record[both[0]] if both else []
    messages = parse_messages(conversation, folder)
    return tuple(place_videos(place_images(messages, record.get("images"), folder), record.get("videos"), folder))


def _answer(value: Any) -> str | None:
    """The reference answer as text; numbers are written out, nothing and blanks are no answer."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None  # what a missing number becomes in a Parquet column
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unfit(f"the answer is {value!r}, expected text or a number")
    return str(value).strip()


def write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    """Write the rows as native JSON lines; images stay references, dates and the like in metadata become text."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(to_record(row), ensure_ascii=False, default=str) + "\n")
