"""Append-only files of JSON, one object a line, that survive a crash in the middle of a line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from halyard.errors import HalyardError
from halyard.runs.atomic import clear_errors, plain, write_text


class JsonLines:
    """A file of JSON lines; a torn last line, which only a crash can leave, is cut off before the next append."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._whole = False

    def append(self, line: Mapping[str, Any]) -> None:
        """Nothing; the line is on the disk.

        Raises:
            HalyardError: the disk is full; the file ends with the line before.
        """
        with clear_errors(self.path):
            self._repair()
            with self.path.open("ab", buffering=0) as file:
                before = file.tell()
                try:
                    file.write(json.dumps(plain(line), ensure_ascii=False).encode() + b"\n")
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(before)
                    raise

    def read(self) -> list[dict[str, Any]]:
        """Every whole line, in order; none when there is no file.

        Raises:
            HalyardError: a line in the middle is not JSON: the file was damaged.
        """
        if not self.path.exists():
            return []
        whole, _, _ = self.path.read_bytes().rpartition(b"\n")
        lines = []
        for number, text in enumerate(whole.splitlines(), start=1):
            try:
                lines.append(json.loads(text))
            except ValueError as error:
                raise HalyardError(f"{self.path}:{number}: the file is damaged: this line is not JSON") from error
        return lines

    def keep(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Nothing; only the wanted lines are left, in their order."""
        lines = self.read()
        kept = [line for line in lines if wanted(line)]
        if self.path.exists():
            write_text(self.path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept))
            self._whole = True

    def _repair(self) -> None:
        """Cut off a torn last line, once for each time that the file is opened by a process."""
        if self._whole or not self.path.exists():
            self._whole = True
            return
        with self.path.open("r+b") as file:
            content = file.read()
            end = content.rfind(b"\n") + 1
            if end < len(content):
                file.truncate(end)
                os.fsync(file.fileno())
        self._whole = True
