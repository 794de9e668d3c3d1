"""Files are replaced whole, and known by their checksum."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from halyard.durable import replaced, sha256


def test_sha256_of_the_standards_example(tmp_path: Path) -> None:
    """FIPS 180-2, appendix B.1."""
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with replaced(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def fail() -> None:
        with replaced(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("died")

    path = tmp_path / "a"
    path.write_text("new")
    with pytest.raises(RuntimeError, match="died"):
        fail()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_only_a_durable_file_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    for durable, times in ((False, 0), (True, 2)):  # the file and its folder
        with replaced(tmp_path / "a", durable=durable) as temporary:
            temporary.write_text("x")
        assert len(synced) == times
