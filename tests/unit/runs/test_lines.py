"""JSON lines survive being cut anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from halyard.errors import HalyardError
from halyard.runs.lines import JsonLines


def test_torn_last_line_is_not_read_and_cut_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    JsonLines(path).append({"step": 1})
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + whole[:cut])
        lines = JsonLines(path)
        assert lines.read() == [{"step": 1}]
        lines.append({"step": 2})
        assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_nothing_whole_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert JsonLines(path).read() == []
    path.write_text('{"step')
    lines = JsonLines(path)
    assert lines.read() == []
    lines.append({"step": 1})
    assert lines.read() == [{"step": 1}]


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(HalyardError, match=r"a\.jsonl:2: the file is damaged"):
        JsonLines(path).read()


def test_keep(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "a.jsonl")
    for step in (1, 2, 3):
        lines.append({"step": step})
    lines.keep(lambda line: line["step"] <= 2)
    lines.append({"step": 4})
    assert [line["step"] for line in lines.read()] == [1, 2, 4]
