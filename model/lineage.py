"""How a snapshot came to be: its manifest, those of its parents, and theirs, as far as they can be found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halyard.durable import sha256
from halyard.errors import SnapshotError
from model.snapshot import MANIFEST, Manifest, read_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """A model in a family tree.

    `folder` is where it lies, None when it was not found; `manifest` what it says of itself, None for a plain model
    folder; `part` what it was to its child ("0.5 of the soup", "the base"), empty for an ordinary parent. `digest` is
    the SHA-256 of its manifest as its child knew it, None where that was not written down; `replaced` a folder in its
    place that holds another snapshot.
    """

    name: str
    folder: Path | None
    manifest: Manifest | None
    part: str = ""
    digest: str | None = None
    replaced: Path | None = None
    parents: tuple[Ancestor, ...] = ()

    def chain(self) -> Iterator[Ancestor]:
        """The model and its ancestors; past a soup, those of its first parent."""
        yield self
        if self.parents:
            yield from self.parents[0].chain()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mention:
    """What a manifest says of a parent; `digest` is the SHA-256 of its manifest, where that was written down."""

    name: str
    folder: str
    digest: str | None = None
    part: str = ""


def trace(folder: Path) -> Ancestor:
    """A model folder and its ancestors.

    Raises:
        SnapshotError: a manifest on the way is broken.
    """
    return _trace(folder.resolve(), None, ())


def digest(folder: Path) -> str | None:
    """The SHA-256 of a snapshot's manifest, which stands for the whole; None for a plain model folder."""
    path = folder / MANIFEST
    return sha256(path) if path.is_file() else None


def _trace(folder: Path, mention: _Mention | None, below: tuple[Path, ...]) -> Ancestor:
    part, known = (mention.part, mention.digest) if mention else ("", None)
    if not (folder / MANIFEST).is_file():
        return Ancestor(name=folder.name, folder=folder, manifest=None, part=part)
    manifest = read_manifest(folder)
    parents = tuple(_parent(parent, folder, (*below, folder)) for parent in _mentions(manifest))
    return Ancestor(name=manifest.version, folder=folder, manifest=manifest, part=part, digest=known, parents=parents)


def _parent(mention: _Mention, child: Path, below: tuple[Path, ...]) -> Ancestor:
    """The parent where it lay then or beside its child; another under its name is told of, and not taken for it."""
    there = [place.resolve() for place in _places(mention, child) if (place / "config.json").is_file()]
    same = [place for place in there if mention.digest is None or digest(place) == mention.digest]
    if same and same[0] not in below:
        return _trace(same[0], mention, below)
    replaced = there[0] if there and not same else None
    return Ancestor(
        name=mention.name, folder=None, manifest=None, part=mention.part, digest=mention.digest, replaced=replaced
    )


def _places(mention: _Mention, child: Path) -> list[Path]:
    beside = [child.parent / mention.name, child.parent.parent / "models" / mention.name]
    return [Path(mention.folder), *beside] if mention.folder else beside


def _mentions(manifest: Manifest) -> list[_Mention]:
    lineage = manifest.lineage
    if parents := lineage.get("parents"):
        try:
            found = [_mention(entry, f"{entry['weight']:.3g} of the soup") for entry in parents]
            return [*found, _mention(lineage["base"], "the base")] if lineage.get("base") else found
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotError(
                f"the manifest of the soup {manifest.version} has parents that cannot be read: expected version, "
                "folder and weight of each"
            ) from error
    start = lineage.get("start")
    name = manifest.parent or (Path(start).name if start else None)
    return [_Mention(name=name, folder=str(start or ""), digest=lineage.get("start_manifest"))] if name else []


def _mention(entry: dict[str, Any], part: str) -> _Mention:
    return _Mention(name=str(entry["version"]), folder=str(entry["folder"]), digest=entry.get("manifest"), part=part)
