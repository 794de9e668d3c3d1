"""Writing so that a crash at any instant leaves the old state or the new one, never half of either.

Everything is written under a hidden temporary name beside its place, synced to the disk, and renamed;
then the folder that holds the name is synced, too.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from halyard.durable import replaced, sync
from halyard.errors import HalyardError

_FULL = {errno.ENOSPC, errno.EDQUOT}


def write_text(path: Path, text: str) -> None:
    """Nothing; the file then holds exactly this text, or still what it held before.

    Raises:
        HalyardError: it could not be written (a full disk, say); the old state is left.
    """
    with clear_errors(path), replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Nothing; like `write_text`, of the value as JSON for people and programs.

    Raises:
        HalyardError: it could not be written; the old state is left.
    """
    write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to fill, which becomes `path` when the block ends well, and vanishes when it does not.

    A folder is written once: where `path` is there already, it stays and what was filled is thrown away.

    Raises:
        HalyardError: the disk is full, or the place cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with clear_errors(path):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    try:
        yield temporary
        with clear_errors(path):
            sync_tree(temporary)
            if not path.exists():
                temporary.rename(path)
            sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Nothing; what a crash left under temporary names in the folder is gone."""
    for left in folder.glob(".*.tmp"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def sync_tree(folder: Path) -> None:
    """Nothing; every file and folder below is on the disk."""
    for here, _, files in os.walk(folder):
        for name in files:
            sync(Path(here) / name)
        sync(Path(here))


@contextlib.contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """A block in which what the disk refuses becomes one sentence.

    Raises:
        HalyardError: the system refused to write.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise HalyardError(
                f"the disk is full: {path} could not be written and is as it was before; free some room, "
                f"then go on with --resume"
            ) from error
        raise HalyardError(f"{path} could not be written: {error.strerror or error}") from error


def plain(value: Any) -> Any:
    """The value as JSON can say it: NaN and infinities, which it cannot, become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(element) for key, element in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(element) for element in value]
    return value
