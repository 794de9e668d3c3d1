"""Where the parts of a run lie in its folder, said once for those who write and those who read."""

from __future__ import annotations

from pathlib import Path


def stage_path(run: Path, index: int, name: str) -> Path:
    """The folder of the stage with this number (from 1) and name."""
    return run / "stages" / f"{index:02d}-{name}"


def rollouts_path(stage: Path, step: int) -> Path:
    """The file with the rollouts of a step, in the folder of its stage."""
    return stage / "rollouts" / f"{step:06d}.parquet"
