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
    folder; `part` what it was to its child ("0.5 of the soup", "the base"), empty for an ordinary parent.
    """

    name: str
    folder: Path | None
    manifest: Manifest | None
    part: str = ""
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
    return _trace(folder.resolve(), "", ())


def digest(folder: Path) -> str | None:
    """The SHA-256 of a snapshot's manifest, which stands for the whole; None for a plain model folder."""
    path = folder / MANIFEST
    return sha256(path) if path.is_file() else None


def _trace(folder: Path, part: str, below: tuple[Path, ...]) -> Ancestor:
    if not (folder / MANIFEST).is_file():
        return Ancestor(name=folder.name, folder=folder, manifest=None, part=part)
    manifest = read_manifest(folder)
    parents = []
    for mention in _mentions(manifest):
        found = _find(mention, folder)
        if found is None or found in (*below, folder):
            parents.append(Ancestor(name=mention.name, folder=None, manifest=None, part=mention.part))
        else:
            parents.append(_trace(found, mention.part, (*below, folder)))
    return Ancestor(name=manifest.version, folder=folder, manifest=manifest, part=part, parents=tuple(parents))


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
    return [_Mention(name=name, folder=str(start or ""))] if name else []


def _mention(entry: dict[str, Any], part: str) -> _Mention:
    return _Mention(name=str(entry["version"]), folder=str(entry["folder"]), digest=entry.get("manifest"), part=part)


def _find(mention: _Mention, child: Path) -> Path | None:
    """Where a parent lies: where it lay then, or beside its child. Another under its name is not it."""
    places = [Path(mention.folder)] if mention.folder else []
    for place in (*places, child.parent / mention.name, child.parent.parent / "models" / mention.name):
        if not (place / "config.json").is_file():
            continue
        if mention.digest is None or digest(place) == mention.digest:
            return place.resolve()
    return None
