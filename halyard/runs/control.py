"""The driver's side of control: orders are looked for while a run goes on, and obeyed between two steps of a stage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar, cast

from configs.live import changed, live_keys
from configs.recipe import Recipe
from configs.stages import RlStage, SftStage
from halyard.errors import ConfigError, Interrupted
from halyard.runs.driver import find_driver
from halyard.runs.folder import RunFolder
from halyard.runs.orders import Order, pending

Training = TypeVar("Training", RlStage, SftStage)
_LOOK_SECONDS = 0.5


class Control:
    """What people ask of a run, as its driver sees it. `stop` does what Ctrl-C does."""

    def __init__(self, run: RunFolder, recipe: Recipe, stop: Callable[[], None]) -> None:
        self.run = run
        self.recipe = recipe
        self.pause: Order | None = None
        self.checkpoint = False
        self._stop = stop
        self._leave_old_orders()

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        """A block in which orders are taken soon after they were given; stages obey them at their next step."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def look(self) -> None:
        """Nothing; every order but changes of keys was taken, and is in events.jsonl."""
        for file, order in pending(self.run.path, ("pause", "resume", "checkpoint", "stop")):
            self.run.event("order", id=order.id, verb=order.verb, who=order.who, why=order.why)
            file.unlink()
            if order.verb == "stop":
                self._stop()
            elif order.verb == "checkpoint":
                self.checkpoint = True
            else:
                self.pause = order if order.verb == "pause" else None

    def _leave_old_orders(self) -> None:
        """What was asked of a driver that is gone does not hold for this one; changes of keys do."""
        driver = find_driver(self.run.path)
        for file, order in pending(self.run.path, ("pause", "resume", "checkpoint", "stop")):
            if driver is not None and order.time < driver.since:
                self.run.event("order_refused", id=order.id, who=order.who, why="the run had ended before it was taken")
                file.unlink()

    async def _watch(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(_LOOK_SECONDS)


class Boundary(Generic[Training]):
    """The place between two steps of a stage: here orders are obeyed, and nowhere else.

    Changes are read from events.jsonl, where each has the step after which it took effect. What a stage is after a
    step follows from them alone: a run that is resumed from an older checkpoint makes each change again at its step.
    """

    def __init__(
        self, control: Control, stage: Training, check: Callable[[Training, Training], None] | None = None
    ) -> None:
        """`check` raises ConfigError for a stage, its second argument, that the one it began as cannot become."""
        self._control = control
        self._stage = stage
        self._check = check
        self._known = (0, control.recipe)
        events = control.run.events()
        self._changes = [event for event in events if event["event"] == "changed" and event["stage"] == stage.name]

    def stage(self, step: int) -> Training:
        """The stage as it is after this step, by all changes until then."""
        return self._of(self._recipe(step)) if self._changes else self._stage

    async def cross(self, step: int, save: Callable[[], Awaitable[None]], stop: asyncio.Event) -> Training:
        """The stage as the next step is to go by, once what was asked for was done.

        A checkpoint is written where one is due or asked for, the stage is ended if that is asked for, a pause is
        waited out, and live keys are changed.

        Raises:
            Interrupted: `stop` is set, and steps are left; the checkpoint of this one is written.
        """
        control, last = self._control, step == self._stage.steps
        control.look()
        asked = stop.is_set() or control.pause is not None or control.checkpoint
        if asked or last or step % self._stage.checkpoint.every == 0:
            control.checkpoint = False
            await save()
        if not last:
            await self._hold(step, stop)
            if stop.is_set():
                raise Interrupted(
                    f"stopped after step {step} of {self._stage.steps} of {self._stage.name}; go on with --resume"
                )
            self._change(step)
        return self.stage(step)

    async def _hold(self, step: int, stop: asyncio.Event) -> None:
        """Wait while the run is paused and not stopped."""
        pause, run, name = self._control.pause, self._control.run, self._stage.name
        if pause is None or stop.is_set():
            return
        run.event("paused", stage=name, step=step, who=pause.who, why=pause.why)
        while self._control.pause is not None and not stop.is_set():
            await asyncio.sleep(_LOOK_SECONDS / 5)
            self._control.look()
        run.event("unpaused", stage=name, step=step)

    def _change(self, step: int) -> None:
        """Make the changes that were asked for, or say why not."""
        run, name = self._control.run, self._stage.name
        for file, order in pending(run.path, ("set",)):
            about: dict[str, Any] = {"id": order.id, "key": order.key, "who": order.who}
            try:
                if order.stage != name:
                    raise ConfigError(f"the stage that goes on is {name}, not {order.stage}")
                before = self._recipe(step)
                after = changed(before, name, order.key, order.value)
                if self._check is not None:
                    self._check(self._stage, self._of(after))
            except ConfigError as error:
                run.event("order_refused", **about, why=str(error))
            else:
                old, new = ({one.key: one.value for one in live_keys(self._of(one))} for one in (before, after))
                for key in (key for key in new if new[key] != old[key]):
                    change = {**about, "key": key, "stage": name, "step": step, "old": old[key], "new": new[key]}
                    run.event("changed", **change, why=order.why)
                    self._changes.append(change)
            file.unlink()

    def _recipe(self, step: int) -> Recipe:
        """The recipe with the changes until a step, in the order in which they were made."""
        made = [change for change in self._changes if change["step"] <= step]
        if len(made) != self._known[0]:
            recipe = self._control.recipe
            for change in made:
                recipe = changed(recipe, self._stage.name, change["key"], change["new"])
            self._known = len(made), recipe
        return self._known[1]

    def _of(self, recipe: Recipe) -> Training:
        return cast("Training", next(one for one in recipe.stages if one.name == self._stage.name))
