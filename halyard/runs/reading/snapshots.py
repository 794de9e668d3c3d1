"""The snapshots of a run: what each was made of, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halyard.errors import SnapshotError
from halyard.runs.reading.runs import numbers, read_json
from model.lineage import trace
from model.snapshot import MANIFEST, Manifest, read_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotView:
    """A snapshot of a run.

    `figures` are those of the last step before it, `evaluation` the benchmarks after it, `changes` what was changed
    while it was trained. `ancestors` are the names of what it came from, nearest first, as far as they can be found.
    """

    version: str
    path: Path
    parent: str | None
    created: float
    stage: str | None
    type: str | None
    role: str
    step: int | None
    figures: Mapping[str, float]
    evaluation: Mapping[str, Any] | None
    changes: tuple[Mapping[str, Any], ...]
    ancestors: tuple[str, ...]


def snapshots(run: Path) -> list[SnapshotView]:
    """The snapshots of a run, oldest first; one whose manifest cannot be read is left out."""
    summaries = [read_json(file) for file in run.glob("stages/*/summary.json")]
    evaluations = {one.get("snapshot"): one.get("evaluation") for one in summaries}
    found = []
    for file in sorted(run.glob(f"snapshots/*/{MANIFEST}")):
        try:
            manifest = read_manifest(file.parent)
            found.append(_view(file, manifest, evaluations.get(manifest.version)))
        except (SnapshotError, OSError):
            continue
    return found


def _view(file: Path, manifest: Manifest, evaluation: Any) -> SnapshotView:
    lineage = manifest.lineage
    figures = numbers(lineage.get("metrics") or {})
    return SnapshotView(
        version=manifest.version,
        path=file.parent,
        parent=manifest.parent,
        created=file.stat().st_mtime,
        stage=lineage.get("stage"),
        type=lineage.get("type"),
        role=lineage.get("role", "policy"),
        step=(lineage.get("metrics") or {}).get("step"),
        figures=figures,
        evaluation=evaluation,
        changes=tuple(lineage.get("changes", ())),
        ancestors=tuple(one.name for one in trace(file.parent).chain())[1:],
    )
