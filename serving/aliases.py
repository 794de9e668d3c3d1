"""Aliases: names that lead to versions, and who changed them when and why.

    RUN@latest, RUN@best   lead where the run itself leads, unless they are pinned
    RUN@stable             leads to what was promoted last
    RUN@NAME               any other name that an operator gives

An alias leads to one version, or to two while a canary is tried on a share of its requests. Every change is
one atomic write of the whole table.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from halyard.errors import ConfigError
from halyard.runs.atomic import write_text
from serving.catalogue import COMPUTED, Catalogue, Snapshot, split_name
from serving.errors import Refusal
from serving.places import NAME

_KEPT_CHANGES = 100

Verb = Literal["promote", "canary", "rollback", "pin", "unpin", "set", "delete"]


class Change(BaseModel):
    """One change of an alias: when (seconds since 1970), by which key, why, and what it then led to."""

    model_config = ConfigDict(frozen=True)

    time: float
    verb: Verb
    who: str
    why: str
    shares: dict[str, float]


class Alias(BaseModel):
    """Where an alias leads: shares of its requests by version, which add up to 1; empty where it follows its run.

    `previous` holds the versions it led to wholly before, oldest first: rollback goes back through them.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    name: str
    shares: dict[str, float] = {}
    pinned: bool = False
    previous: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def id(self) -> str:
        """What it is called in requests: `RUN@NAME`."""
        return f"{self.run}@{self.name}"

    @property
    def main(self) -> str | None:
        """The version that most of its requests go to."""
        return max(self.shares, key=lambda version: self.shares[version]) if self.shares else None

    def version(self, draw: float) -> str:
        """The version for a request that drew a number in [0, 1)."""
        for version, share in sorted(self.shares.items()):
            draw -= share
            if draw < 0:
                return version
        return max(self.shares)

    def leaving_for(self, version: str) -> Alias:
        """The alias with the version that it leads to among those before, where it is to lead to another."""
        if self.main in (None, version):
            return self
        return self.model_copy(update={"previous": (*self.previous, self.main)})


class _Table(BaseModel):
    aliases: list[Alias]


Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


def draw(sticky: str) -> float:
    """A number in [0, 1) that is the same each time for one user, so that a canary does not flicker for them."""
    return int.from_bytes(hashlib.sha256(sticky.encode(errors="replace")).digest()[:7], "big") / 2**56


class Aliases:
    """The table of aliases on disk, over a catalogue. One service at a time holds it."""

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        """Raises: ConfigError where another service holds the folder, or the table in it is damaged."""
        self._catalogue = catalogue
        self._file = folder / "aliases.json"
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("a")
        try:
            self._table = {(alias.run, alias.name): alias for alias in self._read_locked()}
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Let another service have the folder."""
        self._lock.close()

    def all(self) -> list[Alias]:
        """Every alias that leads somewhere: what the runs compute, then what operators made."""
        computed = [
            alias
            for run in self._catalogue.runs
            for name in COMPUTED
            if (alias := self.get(f"{run}@{name}")) is not None and alias.shares
        ]
        made = [alias for key, alias in sorted(self._table.items()) if key[1] not in COMPUTED]
        return computed + made

    def get(self, name: str) -> Alias | None:
        """The alias of that name, with the shares it has now; None when there is none."""
        parts = split_name(name)
        if parts is None or parts[0] not in self._catalogue.runs:
            return None
        alias = self._table.get(parts)
        if parts[1] not in COMPUTED or (alias is not None and alias.pinned):
            return alias
        target = self._catalogue.computed(*parts)
        shares = {target.version: 1.0} if target else {}
        return (alias or Alias(run=parts[0], name=parts[1])).model_copy(update={"shares": shares})

    def promote(self, snapshot: Snapshot, name: str, share: float, *, who: str, why: str) -> Alias:
        """The alias, leading to a snapshot: wholly, or with a share of its requests as a canary.

        Raises:
            Refusal: the alias is pinned, or leads nowhere that a canary could be tried beside.
        """
        alias = self._changeable(snapshot.run, name)
        main = alias.main
        if share < 1:
            if main is None or main == snapshot.version:
                raise Refusal(
                    409,
                    f"{alias.id} leads to {main or 'nothing'}, so {snapshot.id} cannot be a canary beside it; "
                    "promote it wholly (leave share out)",
                    param="share",
                )
            return self._change(alias, "canary", {main: 1 - share, snapshot.version: share}, who=who, why=why)
        alias = alias.leaving_for(snapshot.version)
        return self._change(alias, "promote", {snapshot.version: 1.0}, who=who, why=why)

    def undo(self, changed: Alias, before: Alias | None) -> None:
        """Nothing; a change that came to nothing is as if it had not been."""
        self._restore((changed.run, changed.name), before)
        self._write()

    def rollback(self, name: str, *, who: str, why: str) -> Alias:
        """The alias, leading where it led before: without its canary if it has one, else to the version before.

        Raises:
            Refusal: there is no such alias, it follows its run, or there is nothing before.
        """
        alias = self._existing(name)
        if len(alias.shares) > 1 and alias.main:
            return self._change(alias, "rollback", {alias.main: 1.0}, who=who, why=why)
        if alias.name in COMPUTED and not alias.pinned:
            raise Refusal(409, f"{alias.id} follows its run and has nothing to roll back to; pin it to a version")
        if not alias.previous:
            raise Refusal(409, f"{alias.id} has led to nothing before {alias.main}; promote another version instead")
        *left, target = alias.previous
        alias = alias.model_copy(update={"previous": tuple(left)})
        return self._change(alias, "rollback", {target: 1.0}, who=who, why=why)

    def pin(self, snapshot: Snapshot, name: str, *, who: str, why: str) -> Alias:
        """The alias, held at a snapshot until it is unpinned: neither its run nor a promotion moves it."""
        alias = self.get(f"{snapshot.run}@{name}") or self._new(snapshot.run, name)
        alias = alias.leaving_for(snapshot.version).model_copy(update={"pinned": True})
        return self._change(alias, "pin", {snapshot.version: 1.0}, who=who, why=why)

    def unpin(self, name: str, *, who: str, why: str) -> Alias:
        """The alias, free again: a computed one follows its run, another stays until it is promoted."""
        alias = self._existing(name)
        if not alias.pinned:
            raise Refusal(409, f"{alias.id} is not pinned")
        changed = self._change(alias.model_copy(update={"pinned": False}), "unpin", alias.shares, who=who, why=why)
        return self.get(changed.id) or changed

    def put(self, name: str, shares: Mapping[str, float], *, who: str, why: str) -> Alias:
        """The alias, made or changed to lead to these versions by these shares.

        Raises:
            Refusal: a version is not there, the shares do not add up to 1, or the alias cannot be set.
        """
        run, short = self._named(name)
        missing = [version for version in shares if self._catalogue.get(f"{run}@{version}") is None]
        if missing:
            raise Refusal(404, f"{run} has no version {missing[0]}; GET /v1/models lists what there is", param="shares")
        if abs(sum(shares.values()) - 1) > 1e-6:
            raise Refusal(400, f"the shares add up to {sum(shares.values()):g}, expected 1", param="shares")
        alias = self._changeable(run, short)
        alias = alias.leaving_for(max(shares, key=lambda version: shares[version]))
        return self._change(alias, "set", dict(shares), who=who, why=why)

    def delete(self, name: str) -> None:
        """Nothing; an alias that an operator made is gone.

        Raises:
            Refusal: there is none, or it is computed.
        """
        alias = self._existing(name)
        if alias.name in COMPUTED:
            raise Refusal(409, f"{alias.id} comes from the run itself and cannot be deleted")
        del self._table[alias.run, alias.name]
        self._write()

    def leading_to(self, snapshot: Snapshot) -> list[str]:
        """Names of the aliases that lead to a snapshot, with any share."""
        return [one.id for one in self.all() if one.run == snapshot.run and snapshot.version in one.shares]

    def _named(self, name: str) -> tuple[str, str]:
        parts = split_name(name)
        if parts is None or parts[0] not in self._catalogue.runs:
            raise Refusal(404, f"expected an alias as RUN@NAME with RUN one of {', '.join(self._catalogue.runs)}")
        return parts

    def _existing(self, name: str) -> Alias:
        alias = self.get(name)
        if alias is None:
            known = ", ".join(alias.id for alias in self.all()) or "none"
            raise Refusal(404, f"there is no such alias; these are: {known}", code="alias_not_found")
        return alias

    def _new(self, run: str, name: str) -> Alias:
        if not NAME.fullmatch(name):
            raise Refusal(400, "an alias has letters, digits and any of - _ . in its name", param="alias")
        if self._catalogue.get(f"{run}@{name}") is not None:
            raise Refusal(409, f"{run}@{name} is a snapshot; an alias needs a name of its own", param="alias")
        return Alias(run=run, name=name)

    def _changeable(self, run: str, name: str) -> Alias:
        alias = self.get(f"{run}@{name}") or self._new(run, name)
        if alias.pinned:
            raise Refusal(409, f"{alias.id} is pinned to {alias.main}; unpin it first", code="alias_pinned")
        if name in COMPUTED:
            raise Refusal(409, f"{alias.id} follows its run; pin it, or promote to another alias, such as stable")
        return alias

    def _change(self, alias: Alias, verb: Verb, shares: dict[str, float], *, who: str, why: str) -> Alias:
        change = Change(time=round(time.time(), 3), verb=verb, who=who, why=why, shares=shares)
        changes = (*alias.changes, change)[-_KEPT_CHANGES:]
        changed = alias.model_copy(update={"shares": shares, "changes": changes})
        before = self._table.get((alias.run, alias.name))
        self._table[alias.run, alias.name] = changed
        try:
            self._write()
        except BaseException:
            self._restore((alias.run, alias.name), before)
            raise
        return changed

    def _restore(self, key: tuple[str, str], before: Alias | None) -> None:
        if before is None:
            del self._table[key]
        else:
            self._table[key] = before

    def _write(self) -> None:
        write_text(self._file, _Table(aliases=list(self._table.values())).model_dump_json(indent=2) + "\n")

    def _read_locked(self) -> Sequence[Alias]:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another service keeps its aliases in {self._file.parent}: stop it, or give this one another --state"
            ) from None
        if not self._file.exists():
            return ()
        try:
            return _Table.model_validate_json(self._file.read_text(encoding="utf-8")).aliases
        except (ValidationError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the table of aliases {self._file} is damaged; restore it, or take it away to begin anew"
            ) from error
