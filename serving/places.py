"""Which paths can be served: a run, a snapshot in one, or the folder that runs lie in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from halyard.errors import ConfigError
from halyard.runs.layout import RECIPE, run_folders
from model.snapshot import MANIFEST, read_manifest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What runs, versions and aliases may be called."""


def is_root(path: Path) -> bool:
    """Whether a folder is one that runs lie in, or are to be made in: it has runs, or nothing at all."""
    if not path.is_dir() or (path / RECIPE).is_file() or (path / "snapshots").is_dir() or (path / MANIFEST).is_file():
        return False
    return any(run_folders(path)) or not any(one for one in path.iterdir() if not one.name.startswith("."))


def is_run(path: Path) -> bool:
    """Whether a path that is served is a run, and not a single snapshot."""
    return not (path / MANIFEST).is_file()


def run_name(path: Path) -> str:
    """What the run of a served path is called.

    Raises:
        ConfigError: the path is neither a run nor a snapshot, or its name cannot be asked for.
    """
    path = path.absolute()
    if not path.is_dir():
        raise ConfigError(
            f"there is no folder {path}: name a run, such as runs/quickstart-001, a snapshot in one, or the folder "
            "that runs lie in, once it is there"
        )
    if not is_run(path):
        lineage = read_manifest(path).lineage.get("run")
        name = lineage or (path.parent.parent.name if path.parent.name == "snapshots" else path.name)
    elif (path / RECIPE).is_file() or (path / "snapshots").is_dir():
        name = path.resolve().name
    else:
        raise ConfigError(
            f"{path} is neither a run nor a snapshot nor a folder of runs: it has no {RECIPE}, snapshots/ or "
            f"{MANIFEST}, and other things in it than runs"
        )
    if not NAME.fullmatch(name):
        raise ConfigError(f"{path} cannot be served under the name {name!r}: expected letters, digits and any of - _ .")
    return name


def run_of(snapshot: Path) -> str:
    """What the run of a snapshot is called where the run is served; of one that lies in none, where it is by itself.

    Raises:
        ConfigError: its name cannot be asked for.
    """
    folder = snapshot.absolute()
    return run_name(folder.parent.parent if folder.parent.name == "snapshots" else folder)


def snapshot_folders(source: Path) -> Iterable[Path]:
    """The folders of the snapshots of a served path, in order."""
    if not is_run(source):
        return [source]
    return sorted(manifest.parent for manifest in source.glob(f"snapshots/*/{MANIFEST}"))
