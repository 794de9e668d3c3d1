"""`halyard snapshot`: the policies that runs left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from halyard.cli import shell
from halyard.errors import SnapshotError

app = typer.Typer(
    no_args_is_help=True, help="List, show, verify and convert snapshots of policies.", rich_markup_mode="markdown"
)
RunOrSnapshot = Annotated[Path, typer.Argument(metavar="RUN_OR_PATH", help="A run's folder, or a snapshot's.")]


def snapshots(path: Path) -> list[Path]:
    """The snapshots of a run, oldest first, or the one that the path itself is.

    Raises:
        SnapshotError: there is none.
    """
    if (path / "manifest.json").is_file():
        return [path]
    found = sorted(manifest.parent for manifest in path.glob("snapshots/*/manifest.json"))
    if not found:
        reason = "it has no snapshots yet" if (path / "recipe.json").is_file() else "expected a run or a snapshot"
        raise SnapshotError(f"there is no snapshot at {path}: {reason if path.is_dir() else 'there is no such folder'}")
    return found


def policy_folder(path: Path) -> Path:
    """A verified policy: a snapshot, the newest whole one of a run (a judge is none), or any model folder.

    Raises:
        SnapshotError: there is none, or it is damaged.
    """
    if (path / "config.json").is_file() and not (path / "manifest.json").is_file():
        return path
    folder = policy_snapshot(path)
    from model.snapshot import verify

    verify(folder)
    return folder


def policy_snapshot(path: Path) -> Path:
    """The snapshot at a path, or the newest whole one of a run (a judge is none), not verified yet.

    Raises:
        SnapshotError: there is none.
    """
    found = snapshots(path)
    from model.snapshot import read_manifest

    policies = [
        folder
        for folder in found
        if read_manifest(folder).lineage.get("role") != "judge" and (folder / "config.json").is_file()
    ]
    return (policies or found)[-1]


@app.command("list")
def show_list(path: RunOrSnapshot) -> None:
    """List the snapshots of a run, oldest first.

    Example: `halyard snapshot list runs/quickstart-001`
    """
    from rich.table import Table

    from model.snapshot import read_manifest

    table = Table("version", "role", "parent", "made", "MiB", "folder", box=None, header_style="bold")
    for folder in snapshots(path):
        manifest = read_manifest(folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        role = str(manifest.lineage.get("role", ""))
        mebibytes = f"{size / 1024**2:.1f}"
        table.add_row(manifest.version, role, manifest.parent or "-", made(folder), mebibytes, str(folder))
    shell.show(table)


def made(folder: Path) -> str:
    """When a snapshot was written, in local time."""
    import datetime

    seconds = (folder / "manifest.json").stat().st_mtime
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


@app.command()
def show(path: RunOrSnapshot) -> None:
    """Show where a snapshot comes from, and its files; of a run, the newest.

    Example: `halyard snapshot show runs/quickstart-001`
    """
    import json

    folder = snapshots(path)[-1]
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    typer.echo(json.dumps({"folder": str(folder), **manifest}, indent=2, ensure_ascii=False))


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A SAIL-VL2 as released, a model folder, a snapshot, or a run.")],
    target: Annotated[Path, typer.Argument(help="The folder to write; it must not be there yet.")],
) -> None:
    """Write a SAIL-VL2 in the other layout: the released one (`SAILVLModel`) in Halyard's own, and the other way.

    Every weight comes out as it went in, and code in the folder is never run.

    Example: `halyard snapshot convert SAIL-VL2-2B policies/2b`
    """
    from halyard.runs.atomic import new_folder
    from model.convert import convert as convert_folder

    if target.exists():
        raise SnapshotError(f"{target} is there already: name a folder that is not, or take it away")
    folder = policy_folder(source)
    with shell.console().status(f"{folder} ..."), new_folder(target) as temporary:
        told = convert_folder(folder, temporary)
    name = f"SAIL-VL2-{told.size}" if told.size else "a SAIL-VL2 of no published size"
    typer.echo(
        f"{target}: {name} in {told.layout} layout, {told.tensors} weights, {told.parameters:,} parameters, "
        f"{told.bytes / 1024**2:,.1f} MiB"
    )


@app.command("verify")
def verify_all(path: RunOrSnapshot) -> None:
    """Compare every file of a snapshot with its checksum; of a run, of all its snapshots.

    Example: `halyard snapshot verify runs/quickstart-001`
    """
    from model.snapshot import verify

    for folder in snapshots(path):
        with shell.console().status(f"{folder} ..."):
            verify(folder)
        typer.echo(f"{folder}: every file is as it was written")
