"""Lines of a file that is being written, against reading the whole of it."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halyard.runs.lines import JsonLines
from halyard.runs.reading.lines import read_from, read_last

TEXTS = st.lists(st.integers(0, 200_000).map(lambda length: "é" * (length // 7 if length % 3 else length)), max_size=6)


@given(texts=TEXTS, torn=st.booleans(), start=st.integers(0, 8), count=st.integers(1, 8))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_part_is_that_part_of_the_whole(
    tmp_path: Path, texts: list[str], torn: bool, start: int, count: int
) -> None:
    path = tmp_path / "lines.jsonl"
    lines = [{"number": number, "text": text} for number, text in enumerate(texts)]
    whole = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(whole + ('{"half": "of' if torn else ""), encoding="utf-8")
    found = read_from(path, start, count)
    assert list(found.lines) == lines[start : start + count]
    assert found.next == min(start, len(lines)) + len(found.lines)
    assert list(read_last(path, count)) == lines[-count:]
    odd = [line for line in lines if line["number"] % 2]
    assert list(read_last(path, count, wanted=lambda line: line["number"] % 2 == 1)) == odd[-count:]


def test_a_missing_file_and_an_empty_one_have_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    assert read_from(path).lines == read_last(path) == ()
    path.touch()
    assert read_from(path).lines == read_last(path) == ()


def test_a_resume_that_cuts_lines_off_makes_another_edition(tmp_path: Path) -> None:
    file = JsonLines(tmp_path / "metrics.jsonl")
    for step in range(1, 6):
        file.append({"step": step})
    before = read_from(file.path, 3)
    assert (before.next, [line["step"] for line in before.lines]) == (5, [4, 5])
    file.append({"step": 6})
    assert read_from(file.path, before.next).edition == before.edition
    file.keep(lambda line: line["step"] <= 2)
    after = read_from(file.path, before.next)
    assert after.next == 2
    assert after.edition != before.edition
