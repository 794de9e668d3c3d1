"""What judges answered, and what it cost, on disk: a question is paid once, a budget holds over resumed runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from halyard.errors import RewardError

FILE = "judge.sqlite"
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS spent (
        judge TEXT PRIMARY KEY, calls INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL, money REAL NOT NULL
    ) WITHOUT ROWID;
"""


class Cost(NamedTuple):
    """What calls cost: their number, tokens in and out, and money."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens in and out."""
        return self.prompt_tokens + self.completion_tokens

    def plus(self, other: Cost) -> Cost:
        """Both costs together."""
        return Cost(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.money + other.money,
        )


class Store:
    """Answers by key, and costs by judge, in one SQLite file; without a folder in memory, for as long as it lives."""

    def __init__(self, folder: Path | None) -> None:
        """Open the file, which is made where there is none.

        Raises:
            RewardError: it cannot be made, or is damaged.
        """
        self._where = folder / FILE if folder is not None else None
        with self._clear():
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(self._where or ":memory:", isolation_level=None, timeout=30)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")  # a power cut may cost the last answers, not the file
            self._base.executescript(_SCHEMA)

    def answer(self, key: str) -> dict[str, Any] | None:
        """What was kept under a key."""
        with self._clear():
            row = self._base.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def keep(self, key: str, answer: dict[str, Any]) -> None:
        """Nothing; the answer is there for the next who asks."""
        with self._clear():
            self._base.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, json.dumps(answer)))

    def spent(self, judge: str) -> Cost:
        """What a judge has cost until now."""
        with self._clear():
            row = self._base.execute(
                "SELECT calls, prompt_tokens, completion_tokens, money FROM spent WHERE judge = ?", (judge,)
            ).fetchone()
        return Cost(*row) if row else Cost()

    def spend(self, judge: str, cost: Cost) -> None:
        """Nothing; the cost is added to what the judge has cost."""
        with self._clear():
            self._base.execute(
                "INSERT INTO spent VALUES (?, ?, ?, ?, ?) ON CONFLICT (judge) DO UPDATE SET calls = calls + ?2, "
                "prompt_tokens = prompt_tokens + ?3, completion_tokens = completion_tokens + ?4, money = money + ?5",
                (judge, *cost),
            )

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    @contextmanager
    def _clear(self) -> Iterator[None]:
        """Errors of the disk as a sentence."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise RewardError(
                f"{self._where}: the judges' answers cannot be kept there: {error}; make room, or move the file away "
                "if it is damaged (what was answered is then asked again, and counts against a budget anew)"
            ) from error
