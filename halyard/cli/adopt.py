"""`halyard snapshot adopt`: what PEFT trained over a snapshot, as a snapshot that the service answers with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from halyard.cli import shell
from halyard.cli.snapshot import policy_snapshot
from halyard.errors import SnapshotError


def adopt(
    adapter: Annotated[Path, typer.Argument(metavar="ADAPTER", help="A folder that PEFT wrote a LoRA adapter into.")],
    base: Annotated[Path, typer.Option(help="The snapshot that it was trained over.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The snapshot to write; it must not be there yet.")],
) -> None:
    """Make a snapshot of a LoRA adapter, once it was compared with its base layer by layer.

    Written among the snapshots of a run, it is served as RUN@VERSION like any other, over its base.

    Example: `halyard snapshot adopt out/lora --base runs/a/snapshots/04-rl -o runs/a/snapshots/05-terse`
    """
    from halyard.runs.atomic import new_folder
    from model.adapter import CONFIG, WEIGHTS, read_adapter, refuse_misfit
    from model.snapshot import read_manifest, verify, write_manifest
    from serving.places import run_of

    if out.exists():
        raise SnapshotError(f"{out} is there already: name a folder that is not, or take it away")
    below = policy_snapshot(base)
    found, manifest = read_adapter(adapter), read_manifest(below)
    base_name = f"{run_of(below)}@{manifest.version}"
    refuse_misfit(found, below)
    with shell.console().status(f"{below} is verified ..."):
        verify(below)
    lineage = {
        "role": "policy",
        "base": base_name,
        "base_digest": manifest.digest,
        "rank": found.rank,
    }
    with new_folder(out) as temporary:
        for name in (CONFIG, WEIGHTS):
            shutil.copyfile(adapter / name, temporary / name)
        write_manifest(temporary, version=out.name, parent=manifest.version, lineage=lineage)
    typer.echo(f"{out}: an adapter of rank {found.rank} over {len(found.shapes)} layers of {base_name}")
