"""Where runs lie, and their parts in them, said once for those who write and those who read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

RECIPE = "recipe.json"
"""What makes a folder a run's."""


def run_folders(root: Path) -> Iterator[Path]:
    """The folders of the runs in the folder of all runs, in no order; hidden ones are none."""
    return (recipe.parent for recipe in root.glob(f"[!.]*/{RECIPE}"))


def stage_path(run: Path, index: int, name: str) -> Path:
    """The folder of the stage with this number (from 1) and name."""
    return run / "stages" / f"{index:02d}-{name}"


def rollouts_path(stage: Path, step: int) -> Path:
    """The file with the rollouts of a step, in the folder of its stage."""
    return stage / "rollouts" / f"{step:06d}.parquet"
