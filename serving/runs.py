"""The runs of a folder, as the service reads and operates them: by name, and by orders that they obey themselves."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from configs.faults import nearest
from configs.live import LiveKey, changed, live_keys
from configs.load import LoadedRecipe, load_recipe, shipped
from configs.recipe import Recipe
from configs.stages import RlStage, Stage
from halyard.errors import ConfigError, HalyardError
from halyard.runs.driver import find_driver
from halyard.runs.folder import choose_folder, stored_recipe
from halyard.runs.launch import launch
from halyard.runs.orders import Order, Verb, give
from halyard.runs.reading import runs as reading
from halyard.runs.reading.runs import RunView, show_run
from rl.changes import check
from serving.errors import Refusal
from serving.places import NAME, is_root

_START_SECONDS = 90.0
_LOOK_SECONDS = 0.3
_SAID = 2000


class Runs:
    """The runs of a folder, and those that are served from elsewhere. Nothing is kept here: the disk knows."""

    def __init__(self, root: Path, served: Mapping[str, Path], started: Callable[[Path], None] | None = None) -> None:
        """`started` is told of the folder of each run that is started here."""
        self.root = root
        self._served = served
        self._started = started
        self._environment = dict(os.environ)  # as the user has it, before the service sets what its engines need

    def list(self) -> list[RunView]:
        """All runs, newest first."""
        served = [path for path in self._served.values() if path.parent != self.root]
        elsewhere = [show_run(path) for path in served if reading.is_run(path)]
        return sorted(reading.list_runs(self.root) + elsewhere, key=lambda one: (one.created, one.name), reverse=True)

    def folder(self, name: str) -> Path:
        """The folder of a run.

        Raises:
            Refusal: there is none of that name.
        """
        path = self._served.get(name, self.root / name)
        if NAME.fullmatch(name) and reading.is_run(path):
            return path
        raise Refusal(404, f"there is no run {name[:100]!r} here; GET /v1/runs lists what there is", code="no_run")

    def keys(self, name: str) -> list[LiveKey]:
        """What can be changed in the stage of a run that goes on now.

        Raises:
            Refusal: there is no such run, or its recipe is of another version.
        """
        _, stage = self._stage(self.folder(name))
        return live_keys(stage) if stage is not None else []

    async def check(self, recipe: str, overrides: Sequence[str], name: str | None) -> LoadedRecipe:
        """The recipe as a new run would follow it; nothing is started.

        Raises:
            Refusal: the recipe or an override is wrong, or the name is taken.
        """
        loaded, _ = await self._choose(recipe, overrides, name)
        return loaded

    async def start(self, recipe: str, overrides: Sequence[str], name: str | None, *, who: str) -> RunView:
        """A new run, in a process of its own that this service can end before.

        Raises:
            Refusal: the recipe is wrong, the name is taken, or the run could not be started: its own words.
        """
        loaded, folder = await self._choose(recipe, overrides, name)
        arguments = ["run", "--name", folder.name, "--runs", str(self.root), "--", str(loaded.path), *overrides]
        view = await self._launch(folder, arguments, who)
        if self._started is not None:
            self._started(folder)
        return view

    async def order(self, name: str, verb: Verb, *, who: str, why: str = "") -> RunView:
        """The run, which was asked to pause, go on, write a checkpoint or stop; it does so by itself, between steps.

        A run that stopped, failed or died is started again from its newest checkpoint by "resume".

        Raises:
            Refusal: the run is in no state for it.
        """
        folder = self.folder(name)
        view = await asyncio.to_thread(show_run, folder)
        if verb == "resume" and view.state in ("stopped", "failed", "gone"):
            return await self._launch(folder, ["run", "--resume", "--name", name, "--runs", str(folder.parent)], who)
        if verb == "resume" and view.state not in ("paused", "pausing"):
            raise Refusal(409, f"the run {name} is {view.state}, and can only go on when it rests", code="wrong_state")
        await self._give(folder, verb, who=who, why=why)
        return await asyncio.to_thread(show_run, folder)

    async def set(self, name: str, key: str, value: Any, *, who: str, why: str = "") -> Order:
        """The change of a live key, valid as far as can be told from here; it takes effect after the next step.

        Raises:
            Refusal: the key is not live, the value is wrong, the run does not go on, or is of another version.
        """
        folder = self.folder(name)
        recipe, stage = await asyncio.to_thread(self._stage, folder)
        if stage is None:
            raise Refusal(409, f"the run {name} is in no stage whose keys could be changed", code="wrong_state")
        try:
            after = next(one for one in changed(recipe, stage.name, key, value).stages if one.name == stage.name)
            if isinstance(stage, RlStage) and isinstance(after, RlStage):
                check(stage, after)
        except ConfigError as error:
            raise Refusal(400, str(error), param=key[:100], code="invalid_change") from None
        return await self._give(folder, "set", who=who, why=why, stage=stage.name, key=key, value=value)

    async def _choose(self, recipe: str, overrides: Sequence[str], name: str | None) -> tuple[LoadedRecipe, Path]:
        """The recipe of a new run and its folder, which is not made yet."""
        try:
            loaded = await asyncio.to_thread(_load, recipe, overrides)
            return loaded, choose_folder(self.root, loaded.recipe.name, name, resume=False)
        except (HalyardError, OSError, RuntimeError, ValueError) as error:
            raise Refusal(400, str(error), code="invalid_recipe") from None

    async def _give(self, folder: Path, verb: Verb, **about: Any) -> Order:
        try:
            return await asyncio.to_thread(lambda: give(folder, verb, **about))
        except ConfigError as error:
            raise Refusal(409, str(error), code="wrong_state") from None

    def _stage(self, folder: Path) -> tuple[Recipe, Stage | None]:
        """The recipe of a run and its stage that goes on, with what was changed until now.

        Raises:
            Refusal: the recipe is of another version, so that nobody here knows what may change.
        """
        try:
            recipe = stored_recipe(folder, reading.stored(folder))
        except ConfigError as error:
            raise Refusal(409, str(error), code="other_version") from None
        view = show_run(folder)
        name = next((one.name for one in view.stages if one.name == view.stage and one.state == "running"), None)
        begun = next((one for one in recipe.stages if one.name == name), None)
        for change in reading.changes(folder) if begun is not None else ():
            if change["stage"] == name:
                recipe = changed(recipe, change["stage"], change["key"], change["new"])
        return recipe, next((one for one in recipe.stages if one.name == name), None)

    async def _launch(self, folder: Path, arguments: Sequence[str], who: str) -> RunView:
        """A run in a new process, once it drives its folder."""
        log = folder.parent / ".launches" / f"{folder.name}.log"
        before, began = log.stat().st_size if log.is_file() else 0, time.time()
        pid = await asyncio.to_thread(launch, arguments, log, self._environment, who=who)
        try:
            async with asyncio.timeout(_START_SECONDS):
                while (driver := find_driver(folder)) is None or driver.pid != pid:
                    if not _lives(pid):
                        if reading.is_run(folder) and (view := show_run(folder)).updated > began:
                            return view  # it was over before it could be seen
                        said = log.read_bytes()[before:][-_SAID:].decode(errors="replace").strip()
                        raise Refusal(400, said or f"the run ended at once; its output is in {log}", code="not_started")
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            message = f"the run {folder.name} was started and has not reported yet; its output is in {log}"
            raise Refusal(503, message, code="starting", retry_after=10) from None
        return await asyncio.to_thread(show_run, folder)


def root_of(path: Path) -> Path:
    """The folder of all runs, from the path of one of them or of a snapshot in one, or itself."""
    path = path.absolute()
    if is_root(path):
        return path
    run = path.parent.parent if path.parent.name == "snapshots" else path
    return run.parent


def _load(recipe: str, overrides: Sequence[str]) -> LoadedRecipe:
    """The recipe of that name or file; no other file of the machine is read for whoever may start runs.

    Raises:
        ConfigError: there is none, or it is wrong.
        OSError, RuntimeError, ValueError: a path in it is none.
    """
    if recipe not in shipped() and Path(recipe).suffix not in (".yaml", ".yml"):
        near = nearest(recipe, shipped())
        raise ConfigError(f"{recipe!r} is neither a shipped recipe ({', '.join(shipped())}) nor a YAML file{near}")
    return load_recipe(recipe, overrides)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
