"""The folder of one stage: metrics, rollouts, checkpoints, and the summary that says it is done."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from halyard.durable import sha256, sync
from halyard.errors import HalyardError, SnapshotError
from halyard.runs import rollouts
from halyard.runs.atomic import clear_errors, new_folder, plain, sweep, write_json, write_text
from halyard.runs.layout import rollouts_path
from halyard.runs.lines import JsonLines
from halyard.runs.rollouts import RolloutRecord

_HASHES = "files.json"


class StageFolder:
    """A stage on disk. Steps count from 1; a checkpoint of step n holds the state after step n."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with clear_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        sweep(path)
        self._metrics = JsonLines(path / "metrics.jsonl")
        self._last: int | None = None

    def record(self, line: Mapping[str, Any]) -> None:
        """Nothing; the line of one step is durable in metrics.jsonl.

        Raises:
            HalyardError: `line["step"]` does not follow the last one: there would be a gap or a double.
        """
        last = self._last if self._last is not None else max((there["step"] for there in self.metrics()), default=0)
        if line["step"] != last + 1:
            raise HalyardError(f"{self._metrics.path}: step {line['step']} cannot follow step {last}")
        self._metrics.append(line)
        self._last = last + 1

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, one a step."""
        return self._metrics.read()

    def truncate(self, step: int) -> None:
        """Nothing; what was written of later steps is gone, so that they can be done again without doubles."""
        self._metrics.keep(lambda line: line["step"] <= step)
        self._last = None
        for file in rollouts.files(self.path):
            if int(file.stem) > step:
                file.unlink()

    def write_rollouts(self, step: int, records: Sequence[RolloutRecord]) -> None:
        """Nothing; the rollouts that were trained or let go in this step are durable, replacing an earlier try.

        Raises:
            HalyardError: the disk is full.
        """
        rollouts.write(rollouts_path(self.path, step), records)

    def read_rollouts(self) -> Iterator[RolloutRecord]:
        """Every rollout of the stage, step after step."""
        for file in rollouts.files(self.path):
            yield from rollouts.read(file)

    def write_evaluation(self, answers: Sequence[Mapping[str, Any]]) -> None:
        """Nothing; every graded answer is durable in evaluation.jsonl, replacing an earlier try.

        Raises:
            HalyardError: the disk is full.
        """
        lines = (json.dumps(plain(answer), ensure_ascii=False) for answer in answers)
        write_text(self.path / "evaluation.jsonl", "".join(f"{line}\n" for line in lines))

    @contextlib.contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        """A temporary folder to fill; it becomes the checkpoint of this step once it is durable.

        Older checkpoints are removed after that, never before.

        Raises:
            HalyardError: the disk is full; the older checkpoint is still there.
        """
        target = self.path / f"checkpoint-{step:06d}"
        with new_folder(target) as temporary:
            yield temporary
            with clear_errors(target):
                write_json(temporary / _HASHES, _hashes(temporary))
        for older in self._checkpoints():
            if older != target:
                shutil.rmtree(older, ignore_errors=True)

    def latest_checkpoint(self) -> tuple[int, Path] | None:
        """Step and folder of the newest checkpoint, its files verified; None when there is none.

        Raises:
            SnapshotError: a file is damaged or missing; the message names it.
        """
        checkpoints = self._checkpoints()
        if not checkpoints:
            return None
        newest = checkpoints[-1]
        _verify(newest)
        return int(newest.name.removeprefix("checkpoint-")), newest

    @property
    def done(self) -> bool:
        """Whether the stage is over and needs nothing more."""
        return (self.path / "summary.json").is_file()

    @property
    def summary(self) -> dict[str, Any]:
        """What `finish` was given."""
        return json.loads((self.path / "summary.json").read_text(encoding="utf-8"))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Nothing; the stage is done, which is durable, and its checkpoints are no longer needed."""
        write_json(self.path / "summary.json", summary)
        for checkpoint in self._checkpoints():
            shutil.rmtree(checkpoint, ignore_errors=True)
        sync(self.path)

    def _checkpoints(self) -> list[Path]:
        return sorted(self.path.glob("checkpoint-*"))


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below the folder, by its path from there."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != _HASHES)
    return {str(file.relative_to(folder)): sha256(file) for file in files}


def _verify(checkpoint: Path) -> None:
    try:
        expected = json.loads((checkpoint / _HASHES).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SnapshotError(f"the checkpoint {checkpoint} is damaged: {_HASHES} cannot be read") from error
    for name, digest in expected.items():
        file = checkpoint / name
        if not file.is_file():
            raise SnapshotError(f"the checkpoint {checkpoint} is damaged: {name} is missing")
        if sha256(file) != digest:
            raise SnapshotError(
                f"the checkpoint {checkpoint} is damaged: {name} is not what was written; remove the stage's "
                f"folder to do the whole stage again"
            )
