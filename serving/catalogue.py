"""What can be served: the snapshots of runs, by the names they are asked for.

    runs/quickstart-001/snapshots/04-verifiable-rl   is   quickstart-001@04-verifiable-rl

A name is `RUN@VERSION` for ever the same weights. `RUN@latest`, `RUN@best` and other aliases lead to such
a name (`serving.aliases`). Runs that are still training are looked at again and again; their new snapshots
appear by themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from halyard.errors import ConfigError, SnapshotError
from halyard.runs.layout import run_folders
from model.adapter import is_adapter, named_base, read_adapter, refuse_misfit
from model.snapshot import MANIFEST, Manifest, read_manifest, verify
from serving.places import NAME, is_root, is_run, run_name, snapshot_folders

COMPUTED = ("latest", "best")
RESERVED = (*COMPUTED, "stable")
"""Names that stand for no version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One version of a policy, as it is served.

    `digest` is the SHA-256 over the checksums of all its files, so that two snapshots of one name and other
    weights can be told apart; `score` the mean accuracy over its run's benchmarks (None where none was
    measured); `created` seconds since 1970. A snapshot stays the same one when it is measured, or touched.
    An adapter has the snapshot that it goes over as its `base`; `adapted` says that there are adapters over this one.
    """

    run: str
    version: str
    path: Path
    parent: str | None
    role: str
    created: float = field(compare=False)
    digest: str
    score: float | None = field(default=None, compare=False)
    lineage: Mapping[str, Any] = field(default_factory=dict)
    base: Snapshot | None = None
    adapted: bool = field(default=False, compare=False)

    @property
    def weights(self) -> Snapshot:
        """The whole policy that an engine holds to answer with it: itself, or an adapter's base."""
        return self.base or self

    @property
    def id(self) -> str:
        """What it is called in requests and answers: `RUN@VERSION`."""
        return f"{self.run}@{self.version}"

    @property
    def fingerprint(self) -> str:
        """Its name with the beginning of its digest, for `system_fingerprint`."""
        return f"{self.id}:{self.digest[:12]}"


class Catalogue:
    """All snapshots of some runs, and single ones. `scan` looks at the disk; everything else at what it found."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """`paths` are runs and snapshots, or the one folder that all runs lie in: those to come are served, too.

        Raises: ConfigError where a path is none of these, or two have one name.
        """
        self._root = paths[0].absolute() if len(paths) == 1 and is_root(paths[0]) else None
        self._sources = [] if self._root else [(run_name(path), path.absolute()) for path in paths]
        self._snapshots: dict[str, Snapshot] = {}
        self._gone: set[str] = set()
        self._verified: dict[str, object] = {}
        self.problems: dict[Path, str] = {}
        names = [name for name, path in self._sources if is_run(path)]
        if len(set(names)) < len(names):
            raise ConfigError(f"two runs have one name: {', '.join(sorted(names))}; rename the folder of one of them")

    @property
    def runs(self) -> list[str]:
        """Names of the runs, in the order they were given."""
        return list(dict.fromkeys(name for name, _ in self._sources))

    @property
    def run_folders(self) -> dict[str, Path]:
        """Folders of those that are runs, by name."""
        return {name: path for name, path in self._sources if is_run(path)}

    def add(self, run: Path) -> None:
        """Have the snapshots of one more run be served, as they appear."""
        if run.absolute() not in [path for _, path in self._sources]:
            self._sources.append((run_name(run), run.absolute()))

    def scan(self) -> list[Snapshot]:
        """Look for snapshots; those that were not known before come back.

        What cannot be read is noted in `problems` and left out. May run in a thread of its own.
        """
        found: dict[str, Snapshot] = {}
        problems: dict[Path, str] = {}
        self._look_for_runs(problems)
        scores = {source: _scores(source) for _, source in self._sources}
        places = [(run, source, folder) for run, source in self._sources for folder in snapshot_folders(source)]
        for run, source, folder in sorted(places, key=lambda place: is_adapter(place[2])):  # bases first
            try:
                self._note(found, _read(run, folder, scores[source], found), problems)
            except SnapshotError as error:
                problems[folder] = str(error)
        new = [snapshot for name, snapshot in found.items() if name not in self._snapshots]
        self._gone = (self._gone | self._snapshots.keys()) - found.keys()
        self._snapshots, self.problems = found, problems
        return new

    def get(self, name: str) -> Snapshot | None:
        """The snapshot of that exact name."""
        return self._snapshots.get(name)

    def was_there(self, name: str) -> bool:
        """Whether a snapshot was there since the service started, and its folder has gone."""
        return name in self._gone

    def all(self) -> list[Snapshot]:
        """Every snapshot: runs as they were given, versions in order."""
        order = {run: index for index, run in enumerate(self.runs)}
        return sorted(self._snapshots.values(), key=lambda one: (order[one.run], one.version))

    def policies(self, run: str) -> list[Snapshot]:
        """The policies of a run, oldest first; judges are left out unless there is nothing else."""
        there = [one for one in self.all() if one.run == run]
        return [one for one in there if one.role != "judge"] or there

    def computed(self, run: str, name: str) -> Snapshot | None:
        """Where `latest` or `best` of a run leads by itself; None when there is nothing yet."""
        policies = self.policies(run)
        if name == "latest":
            return policies[-1] if policies else None
        scored = [one for one in policies if one.score is not None]
        return max(scored, key=lambda one: (one.score, one.version)) if scored else None

    def verify(self, snapshot: Snapshot) -> None:
        """Nothing, when every file is the one in the manifest; files that did not change are read once.

        Raises:
            SnapshotError: a file is missing or damaged, it is another snapshot than it was, or an adapter does not
                fit its base.
        """
        if snapshot.base is not None:
            self.verify(snapshot.base)
        seen = _stamps(snapshot.path)
        if self._verified.get(snapshot.id) == (snapshot.digest, seen):
            return
        verify(snapshot.path)
        if _digest(read_manifest(snapshot.path), snapshot.base) != snapshot.digest:
            raise SnapshotError(f"the snapshot {snapshot.path} was replaced by another since it was found")
        if snapshot.base is not None:
            refuse_misfit(read_adapter(snapshot.path), snapshot.base.path)
        self._verified[snapshot.id] = (snapshot.digest, seen)

    def _look_for_runs(self, problems: dict[Path, str]) -> None:
        """Serve what has become a run in the folder of all runs, the newest first."""
        if self._root is None:
            return
        known = {path for _, path in self._sources}
        new = [(run.stat().st_mtime, run) for run in run_folders(self._root) if run not in known]
        for _, run in sorted(new, reverse=True):
            try:
                self.add(run)
            except ConfigError as error:
                problems[run] = str(error)

    def _note(self, found: dict[str, Snapshot], snapshot: Snapshot, problems: dict[Path, str]) -> None:
        other = found.get(snapshot.id) or self._snapshots.get(snapshot.id)
        if other is not None and other.digest != snapshot.digest:
            problems[snapshot.path] = (
                f"{snapshot.path} is called {snapshot.id}, as another snapshot with other weights at {other.path} "
                "is; a name stands for the same weights for ever, so it is left out"
            )
            snapshot = other
        found.setdefault(snapshot.id, snapshot)
        if snapshot.base is not None:
            found[snapshot.base.id] = replace(snapshot.base, adapted=True)


def split_name(name: str) -> tuple[str, str] | None:
    """The run and the version or alias in a name; None when it has not the form RUN@NAME."""
    run, at, version = name.partition("@")
    well_formed = at and NAME.fullmatch(run) and NAME.fullmatch(version)
    return (run, version) if well_formed else None


def _read(run: str, folder: Path, scores: Mapping[str, float], found: Mapping[str, Snapshot]) -> Snapshot:
    """One snapshot; an adapter's base is among those that were `found` before."""
    manifest = read_manifest(folder)
    if not NAME.fullmatch(manifest.version) or manifest.version in RESERVED:
        raise SnapshotError(
            f"{folder} has the version {manifest.version!r}, which cannot be served: expected letters, digits and "
            f"any of - _ ., and none of {', '.join(RESERVED)}"
        )
    try:
        created = (folder / MANIFEST).stat().st_mtime
    except OSError as error:
        raise SnapshotError(f"{folder} has gone while it was read") from error
    base = _base_of(run, folder, manifest, found) if is_adapter(folder) else None
    return Snapshot(
        run=run,
        version=manifest.version,
        path=folder,
        parent=manifest.parent,
        role=str(manifest.lineage.get("role", "policy")),
        created=created,
        digest=_digest(manifest, base),
        score=scores.get(manifest.version),
        lineage=manifest.lineage,
        base=base,
    )


def _digest(manifest: Manifest, base: Snapshot | None) -> str:
    """The digest of the files; of an adapter, over its own and those of its base."""
    if base is None:
        return manifest.digest
    return hashlib.sha256(f"{base.digest} {manifest.digest}".encode()).hexdigest()


def _base_of(run: str, folder: Path, manifest: Manifest, found: Mapping[str, Snapshot]) -> Snapshot:
    """The snapshot that the adapter in a folder goes over: by RUN@VERSION, a version of its own run, or a path.

    Raises:
        SnapshotError: the adapter does not say, what it says is not served, or has other weights than it was made over.
    """
    named = manifest.lineage.get("base") or named_base(folder)
    if not isinstance(named, str):
        raise SnapshotError(f"{folder} is an adapter that names no base; `halyard snapshot adopt` makes one that does")
    path = (folder / Path(named).expanduser()).resolve()
    by_path = (one for one in found.values() if one.path.resolve() in (path, Path(named).resolve()))
    base = found.get(named) or found.get(f"{run}@{named}") or next(by_path, None)
    if base is None:
        raise SnapshotError(f"{folder} is an adapter over {named}, which is not served here: serve its run, too")
    digest = manifest.lineage.get("base_digest")
    if base.base is not None or digest not in (None, base.digest):
        why = "an adapter itself" if base.base is not None else "another policy than the one it was made over"
        raise SnapshotError(f"{folder} is an adapter over {base.id}, which is {why}")
    return base


def _stamps(folder: Path) -> list[tuple[str, int, int, int]]:
    """Size, time and inode of each file: they change with its content, unless someone takes pains."""
    stats = [(str(file), file.stat()) for file in sorted(folder.rglob("*")) if file.is_file()]
    return [(name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats]


def _scores(run: Path) -> dict[str, float]:
    """Mean accuracy over the benchmarks of a run, by the version that was measured."""
    scores = {}
    for file in run.glob("stages/*/summary.json"):
        try:
            summary = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # it is written anew this moment, or damaged: `halyard status` says more
            continue
        cells = (summary.get("evaluation") or {}).get("cells", [])
        whole = [
            cell["pass_at_1"] for cell in cells if cell.get("family") is None and cell.get("pass_at_1") is not None
        ]
        if whole and summary.get("snapshot"):
            scores[summary["snapshot"]] = sum(whole) / len(whole)
    return scores
