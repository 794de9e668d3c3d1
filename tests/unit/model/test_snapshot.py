from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from halyard.errors import SnapshotError
from model.snapshot import list_snapshots, read_manifest, verify, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "snapshots" / "01-sft"
    (path / "deeper").mkdir(parents=True)
    (path / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    (path / "config.json").write_text("{}")
    (path / "deeper" / "notes.txt").write_text("hello")
    write_manifest(path, version="01-sft", parent=None, lineage={"stage": "sft"})
    return path


def test_it_says_what_was_written(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert (manifest.version, manifest.parent, manifest.lineage) == ("01-sft", None, {"stage": "sft"})
    assert manifest.files["deeper/notes.txt"] == hashlib.sha256(b"hello").hexdigest()
    assert set(manifest.files) == {"model.safetensors", "config.json", "deeper/notes.txt"}
    verify(folder)


def test_a_flipped_bit_is_found_by_name(folder: Path) -> None:
    file = folder / "model.safetensors"
    damaged = bytearray(file.read_bytes())
    damaged[5000] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(SnapshotError, match=r"is damaged: model\.safetensors has the SHA-256"):
        verify(folder)


def test_a_missing_file_is_found_by_name(folder: Path) -> None:
    (folder / "deeper" / "notes.txt").unlink()
    with pytest.raises(SnapshotError, match=r"deeper/notes\.txt is missing"):
        verify(folder)


def test_a_file_too_many_is_found_by_name(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(SnapshotError, match=r"a file that was not written with it: pytorch_model\.bin"):
        verify(folder)


def test_a_manifest_that_is_none(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"is no snapshot: it has no manifest\.json"):
        read_manifest(tmp_path)
    for content in ("[]", "{", json.dumps({"version": 1})):
        (folder / "manifest.json").write_text(content)
        with pytest.raises(SnapshotError, match=r"manifest\.json"):
            read_manifest(folder)


def test_an_empty_folder_makes_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="has no files"):
        write_manifest(tmp_path, version="1", parent=None, lineage={})


def test_snapshots_of_a_run_in_order(folder: Path, tmp_path: Path) -> None:
    second = tmp_path / "snapshots" / "02-rl"
    second.mkdir()
    (second / "config.json").write_text("{}")
    write_manifest(second, version="02-rl", parent="01-sft", lineage={})
    assert [(m.version, m.parent) for m in list_snapshots(tmp_path)] == [("01-sft", None), ("02-rl", "01-sft")]
    assert list_snapshots(tmp_path / "nowhere") == []
