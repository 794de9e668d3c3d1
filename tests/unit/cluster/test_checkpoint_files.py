from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from halyard.cluster import checkpoint_files
from halyard.errors import SnapshotError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    state = b"some weights"
    (tmp_path / checkpoint_files.STATE).write_bytes(state)
    checkpoint_files.finish(tmp_path, state_sha=hashlib.sha256(state).hexdigest(), steps=12)
    return tmp_path


def test_a_whole_checkpoint_passes_and_tells_its_steps(folder: Path) -> None:
    checkpoint_files.verify(folder)
    assert checkpoint_files.steps(folder) == 12


@pytest.mark.parametrize("name", [checkpoint_files.STATE, checkpoint_files.STEPS])
def test_one_flipped_bit_is_found_and_its_file_named(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[3] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(SnapshotError, match=f"{name} is damaged"):
        checkpoint_files.verify(folder)


@pytest.mark.parametrize("name", [checkpoint_files.STATE, checkpoint_files.STEPS])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(SnapshotError, match=f"{name} is missing"):
        checkpoint_files.verify(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sha256": {}}', '{"sha256": null}'])
def test_a_damaged_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / checkpoint_files.MANIFEST).write_text(text)
    with pytest.raises(SnapshotError, match=r"manifest\.json is damaged"):
        checkpoint_files.verify(folder)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="no learner checkpoint"):
        checkpoint_files.verify(tmp_path)
