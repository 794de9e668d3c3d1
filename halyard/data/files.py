"""Records out of JSONL and Parquet files and Hugging Face data sets, one by one, each with its row number."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from halyard.data.references import Unfit
from halyard.errors import DataError

Numbered = tuple[int, Mapping[str, Any] | Unfit]
"""A row's number, from 1, with its record or the reason why it has none."""


def find(pattern: str, root: Path) -> list[Path]:
    """The files of a path or pattern, sorted by name.

    Raises:
        DataError: there is none.
    """
    path = root / Path(pattern).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        raise DataError(
            f"the data path {path} is a folder: name a file, or a pattern such as {pattern.rstrip('/')}/*.jsonl"
        )
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file())  # noqa: PTH207
    if not found:
        what = "no file fits the pattern" if glob.has_magic(pattern) else "there is no data file"
        raise DataError(f"{what} {path}: check the source's path, which is relative to the recipe's folder")
    return found


def read_jsonl(path: Path) -> Iterator[Numbered]:
    """One record a line; empty lines are passed over. Row numbers are line numbers."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _parse(line.removeprefix(b"\xef\xbb\xbf"))


def _parse(line: bytes) -> Mapping[str, Any] | Unfit:
    try:
        record = json.loads(line)
    except ValueError as error:
        return Unfit(f"the line is no JSON: {error}")
    return record if isinstance(record, Mapping) else Unfit(f"the line holds {str(record)[:40]!r}, expected an object")


def read_parquet(path: Path) -> Iterator[Numbered]:
    """One record a row.

    Raises:
        DataError: the file is no Parquet, or damaged.
    """
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error


def read_huggingface(name: str, split: str, root: Path) -> Iterator[Numbered]:
    """One record a row of a split; images stay encoded.

    Raises:
        DataError: no such data set or split, here or on the hub.
    """
    number = 0
    for table in _dataset(name, split, root).with_format("arrow").iter(batch_size=1024):
        for record in table.to_pylist():
            number += 1
            yield number, record


def _dataset(name: str, split: str, root: Path) -> Any:
    import datasets

    folder = root / Path(name).expanduser()
    if folder.exists():
        try:
            found = datasets.load_from_disk(str(folder))
        except (OSError, ValueError) as error:
            raise DataError(f"{folder} is no data set that save_to_disk wrote: {error}") from error
        if not isinstance(found, datasets.DatasetDict):
            return found
        if split not in found:
            raise DataError(f"the data set {folder} has no split {split!r}: it has {', '.join(map(str, found))}")
        return found[split]
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith("."):
        raise DataError(f"there is no data set folder {folder}")
    try:
        return datasets.load_dataset(name, split=split)
    except Exception as error:  # the hub's client raises errors of many libraries
        raise DataError(f"no folder {folder}, and the hub's data set {name!r} cannot be loaded: {error}") from error
