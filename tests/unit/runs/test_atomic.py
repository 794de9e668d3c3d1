"""A crash or a full disk leaves the old state or the new one."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from halyard.errors import HalyardError
from halyard.runs.atomic import new_folder, sweep, write_json, write_text


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes bytes but cannot keep them."""

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)


def test_text_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old")
    write_text(file, "new")
    assert file.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_json_has_no_words_that_json_has_not(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"loss": float("nan"), "deep": [(1.5, float("inf"))]})
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail) == {
        "loss": None,
        "deep": [[1.5, None]],
    }


def test_full_disk_leaves_the_old_text_and_says_so(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old")
    request.getfixturevalue("full_disk")
    with pytest.raises(HalyardError, match=r"the disk is full: .*a\.txt could not be written"):
        write_text(file, "new")
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.usefixtures("full_disk")
def test_full_disk_leaves_no_half_folder(tmp_path: Path) -> None:
    def fill() -> None:
        with new_folder(tmp_path / "b") as temporary:
            (temporary / "weights").write_text("x")

    with pytest.raises(HalyardError, match="the disk is full"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "b") as temporary:
        (temporary / "weights").write_text("x")
        assert not (tmp_path / "b").exists()
    assert (tmp_path / "b" / "weights").read_text() == "x"


def test_a_failure_while_filling_leaves_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with new_folder(tmp_path / "b") as temporary:
            (temporary / "weights").write_text("x")
            raise RuntimeError("died")

    with pytest.raises(RuntimeError, match="died"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_written_once(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with new_folder(tmp_path / "b") as temporary:
            (temporary / "weights").write_text(text)
    assert (tmp_path / "b" / "weights").read_text() == "first"


def test_sweep_removes_what_a_crash_left(tmp_path: Path) -> None:
    (tmp_path / ".b.tmp").mkdir()
    (tmp_path / ".a.txt.tmp").write_text("half")
    (tmp_path / "kept").write_text("")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
