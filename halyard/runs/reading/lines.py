"""Files of JSON lines that another process is writing: from a line on, or the last ones, never the whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Lines of a file. `next` is the number of the first one that was not read, to go on from.

    `edition` changes when the file was written anew: a resumed run cuts off the steps that it does again, and
    what was read before is best forgotten.
    """

    lines: tuple[dict[str, Any], ...]
    next: int
    edition: int


def read_from(path: Path, start: int = 0, most: int | None = None) -> Lines:
    """The whole lines from number `start` (from 0) on, at most `most`; none where there is no file.

    Lines before `start` are passed over without being parsed. Where the file has fewer, `next` is their number.
    """
    try:
        with path.open("rb") as file:
            edition = os.fstat(file.fileno()).st_ino
            passed = sum(1 for _ in islice(_whole(file), start))
            texts = list(islice(_whole(file), most))
    except FileNotFoundError:
        return Lines(lines=(), next=0, edition=0)
    return Lines(lines=tuple(json.loads(text) for text in texts), next=passed + len(texts), edition=edition)


def read_last(path: Path, count: int = 1, wanted: Callable[[dict[str, Any]], bool] | None = None) -> tuple[Any, ...]:
    """The last `count` of the wanted lines (all are, without `wanted`), in their order, read from the end."""
    try:
        with path.open("rb") as file:
            lines = (json.loads(text) for text in _backwards(file))
            found = list(islice((line for line in lines if wanted is None or wanted(line)), count))
    except FileNotFoundError:
        return ()
    return tuple(reversed(found))


def _whole(file: BinaryIO) -> Iterator[bytes]:
    """Lines that have their end; one that is just being written is left for the next look."""
    while (text := file.readline()).endswith(b"\n"):
        yield text


def _backwards(file: BinaryIO) -> Iterator[bytes]:
    """The whole lines of a file, last first."""
    place = file.seek(0, 2)
    rest, torn = b"", True  # behind the last end of line is what is just being written
    while place:
        size = min(_CHUNK, place)
        place -= size
        file.seek(place)
        rest, *texts = (file.read(size) + rest).split(b"\n")
        for text in reversed(texts):
            if not torn:
                yield text
            torn = False
    if not torn:
        yield rest
