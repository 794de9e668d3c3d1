"""Runs to be served, and engines that hold a snapshot without a vLLM."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from model.snapshot import write_manifest
from serving.catalogue import Snapshot


def write_snapshot(run: Path, version: str, *, content: str = "", role: str = "policy") -> Path:
    """A snapshot of a run, with a file of no use but its checksum; returns its folder."""
    folder = run / "snapshots" / version
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text(content or version)
    write_manifest(folder, version=version, parent=None, lineage={"run": run.name, "role": role})
    return folder


def write_score(run: Path, stage: str, version: str, *values: float) -> None:
    """The summary of a stage whose snapshot was measured on some benchmarks."""
    folder = run / "stages" / stage
    folder.mkdir(parents=True)
    cells = [{"family": None, "pass_at_1": value} for value in values] + [{"family": "sum", "pass_at_1": 1.0}]
    (folder / "summary.json").write_text(json.dumps({"snapshot": version, "evaluation": {"cells": cells}}))


def snapshot(version: str, *, run: str = "r") -> Snapshot:
    """A snapshot that is nowhere on disk."""
    return Snapshot(
        run=run, version=version, path=Path(version), parent=None, role="policy", created=0.0, digest=version * 20
    )


class HeldEngine:
    """An engine of a pool, in this process: takes snapshots in no time, or when `gate` opens."""

    def __init__(self, name: str = "engine-0") -> None:
        self.name = name
        self.snapshot: Snapshot | None = None
        self.alive = False
        self.taken: list[str] = []
        self.adapters: list[str] = []
        self.room = 4
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[Exception] = []
        self.silence = 0.0
        self.killed = 0
        self.seconds = 0.0

    @property
    def frontend(self):
        return self

    def frontend_of(self, snapshot: Snapshot):
        return self

    def serves(self, snapshot: Snapshot) -> bool:
        return self.snapshot == snapshot.weights and (snapshot.base is None or snapshot.id in self.adapters)

    def takes_beside(self, snapshot: Snapshot) -> bool:
        return snapshot.base is not None and self.snapshot == snapshot.base and len(self.adapters) < self.room

    def silent_for(self) -> float:
        return self.silence

    async def take(self, snapshot: Snapshot) -> float:
        await self.gate.wait()
        if self.failures:
            self.alive = False
            raise self.failures.pop(0)
        if snapshot.base is not None:
            self.adapters.append(snapshot.id)
        self.snapshot, self.alive = snapshot.weights, True
        self.taken.append(snapshot.version)
        await asyncio.sleep(self.seconds)
        return self.seconds

    def kill(self) -> None:
        self.killed += 1
        self.alive = False

    async def stop(self) -> None:
        self.alive = False


class Sound:
    """Says of every snapshot that its files are sound, but of those named."""

    def __init__(self, *damaged: str) -> None:
        self.damaged = damaged

    def verify(self, snapshot: Snapshot) -> None:
        from halyard.errors import SnapshotError

        if snapshot.version in self.damaged:
            raise SnapshotError(f"{snapshot.version} is damaged")
