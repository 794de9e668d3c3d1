"""Snapshots: immutable model folders with a manifest, which says where they come from and what they are made of.

A flipped bit loads without a word from safetensors as from any other format: the hashes in the manifest are what
finds it, so a snapshot is verified before it is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from halyard.durable import replaced, sha256
from halyard.errors import SnapshotError

MANIFEST = "manifest.json"
_KEYS = {"version": str, "parent": str | None, "lineage": dict, "files": dict}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a snapshot says of itself.

    `version` is its name, `parent` the version whose weights it was trained from (None at the beginning),
    `lineage` whatever else is known of its making, `files` the SHA-256 of every file by its path in the folder.
    """

    version: str
    parent: str | None
    lineage: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The SHA-256 over the checksums of all its files: two snapshots of one name can be told apart by it."""
        return hashlib.sha256(json.dumps(sorted(self.files.items())).encode()).hexdigest()


def write_manifest(path: Path, *, version: str, parent: str | None, lineage: Mapping[str, Any]) -> Manifest:
    """The manifest of a folder whose files are all written; it is on disk when this returns.

    Raises:
        SnapshotError: the folder is missing or empty, or a file cannot be read or written.
    """
    try:
        files = {str(file.relative_to(path)): sha256(file) for file in _files(path)}
        if not files:
            raise SnapshotError(f"{path} has no files: there is nothing to make a snapshot of")
        manifest = Manifest(version=version, parent=parent, lineage=dict(lineage), files=files)
        with replaced(path / MANIFEST) as temporary:
            temporary.write_text(json.dumps(asdict(manifest), indent=2, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise SnapshotError(f"the manifest of {path} cannot be written: {error.strerror}") from error
    return manifest


def read_manifest(path: Path) -> Manifest:
    """The manifest of a snapshot's folder.

    Raises:
        SnapshotError: there is none, or it is not one.
    """
    file = path / MANIFEST
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SnapshotError(f"{path} is no snapshot: it has no {MANIFEST}") from error
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{file} cannot be read: {error}") from error
    if not isinstance(content, dict) or any(not isinstance(content.get(key), kind) for key, kind in _KEYS.items()):
        raise SnapshotError(f"{file} is no manifest: expected {', '.join(_KEYS)}")
    return Manifest(**{key: content[key] for key in _KEYS})


def verify(path: Path) -> None:
    """Nothing, when every file of a snapshot is the one that was written.

    Raises:
        SnapshotError: a file is missing, damaged, or was not there before; the message names it.
    """
    expected = read_manifest(path).files
    found = {str(file.relative_to(path)): file for file in _files(path)}
    for name, digest in expected.items():
        if name not in found:
            raise SnapshotError(f"the snapshot {path} is not complete: {name} is missing; restore it, or use another")
        actual = sha256(found[name])
        if actual != digest:
            raise SnapshotError(
                f"the snapshot {path} is damaged: {name} has the SHA-256 {actual[:12]}..., but {digest[:12]}... was "
                "written; restore it, or use another snapshot"
            )
    for name in found:
        if name not in expected:
            raise SnapshotError(f"the snapshot {path} has a file that was not written with it: {name}; take it away")


def list_snapshots(run: Path) -> list[Manifest]:
    """Manifests of the snapshots of a run, by version; an empty list when it has none yet.

    Raises:
        SnapshotError: a manifest cannot be read.
    """
    return [read_manifest(file.parent) for file in sorted(run.glob(f"snapshots/*/{MANIFEST}"))]


def _files(path: Path) -> list[Path]:
    """All files of a folder but the manifest, in order."""
    return sorted(
        file for file in path.rglob("*") if file.is_file() and file.name not in (MANIFEST, f".{MANIFEST}.tmp")
    )
