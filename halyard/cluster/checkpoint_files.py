"""The files of a learner's checkpoint, and whether they are what was written.

FOLDER/state.safetensors   float32 weights and Adam's two moments, by the parameters' names
FOLDER/state.json          optimiser steps taken
FOLDER/manifest.json       SHA-256 of the two; checked before anything is loaded, for a flipped bit
                           in a safetensors file loads without an error
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from halyard.durable import sha256, sync
from halyard.errors import SnapshotError

STATE, STEPS, MANIFEST = "state.safetensors", "state.json", "manifest.json"


def finish(folder: Path, *, state_sha: str, steps: int) -> None:
    """Write what belongs beside the state; all of the folder has reached the disk on return."""
    text = json.dumps({"optimizer_steps": steps})
    _write(folder / STEPS, text)
    hashes = {STATE: state_sha, STEPS: hashlib.sha256(text.encode()).hexdigest()}
    _write(folder / MANIFEST, json.dumps({"sha256": hashes}))
    sync(folder)


def verify(folder: Path) -> None:
    """Return if the checkpoint in `folder` is whole and undamaged.

    Raises:
        SnapshotError: names the file that is missing or damaged.
    """
    try:
        hashes = json.loads((folder / MANIFEST).read_text())["sha256"]
        expected = {name: hashes[name] for name in (STATE, STEPS)}
    except FileNotFoundError:
        raise SnapshotError(f"{folder} is no learner checkpoint: it has no {MANIFEST}") from None
    except (ValueError, KeyError, TypeError):
        raise SnapshotError(f"{folder / MANIFEST} is damaged: go on from an earlier checkpoint") from None
    for name, sha in expected.items():
        if not (folder / name).is_file():
            raise SnapshotError(f"{folder / name} is missing, though the checkpoint's manifest lists it")
        found = sha256(folder / name)
        if found != sha:
            raise SnapshotError(
                f"{folder / name} is damaged: its SHA-256 is {found[:12]}…, but the manifest says {sha[:12]}…. "
                "Go on from an earlier checkpoint."
            )


def steps(folder: Path) -> int:
    """The optimiser steps that a verified checkpoint had taken."""
    return json.loads((folder / STEPS).read_text())["optimizer_steps"]


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    sync(path)
