"""The rollouts of a run: find groups by step, reward and text, and read their answers side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

from nicegui import events, ui

from halyard.runs.reading.rollouts import RolloutQuery, RolloutRow, find_rollouts, steps_with_rollouts
from halyard.runs.reading.runs import show_run
from serving.dashboard.answers import Answers
from serving.dashboard.histogram import Bounds, draw_histogram
from serving.dashboard.parts import card, chip, div, empty, number, text, tone
from serving.dashboard.view import Panel, View

_MOST = 2000
"""Answers of one look; steps with more are cut, and that is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The answers to one prompt in one step."""

    rows: tuple[RolloutRow, ...]

    @property
    def place(self) -> tuple[str, int, int]:
        """Stage, step and occurrence: what it is found by."""
        return self.rows[0].stage, self.rows[0].step, self.rows[0].occurrence

    @property
    def rewards(self) -> list[float]:
        """Rewards of those that have one, best first."""
        return sorted((row.reward for row in self.rows if row.reward is not None), reverse=True)

    @property
    def mean(self) -> float:
        """Mean reward; -1 where no verdict was given."""
        return fmean(self.rewards) if self.rewards else -1.0

    @property
    def spread(self) -> float:
        """Best less worst reward: what there is to learn from it."""
        return self.rewards[0] - self.rewards[-1] if self.rewards else 0.0


_ORDERS: Mapping[str, Callable[[Group], Any]] = {
    "most to learn": lambda group: (-group.spread, abs(group.mean - 0.5)),
    "worst first": lambda group: group.mean,
    "best first": lambda group: -group.mean,
    "as they came": lambda group: group.place,
}


class Rollouts(Panel):
    """A browser of rollouts."""

    name, label, icon = "rollouts", "Rollouts", "forum"
    live = False

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._query = RolloutQuery(limit=_MOST)
        self._order = next(iter(_ORDERS))
        self._everywhere = False
        self._answers: Answers | None = None
        self._place: tuple[str, int, int] | None = None

    def read(self) -> Any:
        """The stages and steps with rollouts, and the groups of those that were asked for."""
        folder = self.view.folder
        if folder is None:
            return self.view.runless
        trained = [stage.name for stage in show_run(folder).stages if stage.type == "rl"]
        steps = {name: there for name in trained if (there := steps_with_rollouts(folder, name))}
        if not steps:
            return "no rollouts yet: they appear with the first step of a stage that learns from rewards"
        stage = self.view.stage if self.view.stage in steps else list(steps)[-1]
        here = steps[stage]
        step = min(here, key=lambda one: abs(one - (self.view.step or here[-1])))
        bounds = {} if self._everywhere and self._query.text else {"first_step": step, "last_step": step}
        found = find_rollouts(folder, replace(self._query, stage=stage, **bounds))
        return tuple(steps), stage, (here[0], here[-1]), step, found, self._order

    def draw(self, found: Any) -> None:
        """What can be asked for, the groups, and the answers of one."""
        stages, stage, span, step, page, order = found
        groups = sorted(_groups(page.rollouts), key=_ORDERS[order])
        self._draw_choices(stages, stage, span, step)
        with div("columns"):
            with card("Groups", hint="A prompt with its answers. A bar for each, coloured by reward.", width=4) as head:
                with head:
                    text(f"{len(groups)} prompts · {len(page.rollouts)} answers", "soft small")
                    box = ui.select(list(_ORDERS), value=order, on_change=self._sort)
                    box.props("dense borderless options-dense").classes("push small")
                bounds = (self._query.min_reward, self._query.max_reward)
                draw_histogram([row.reward for row in page.rollouts], bounds, self._within)
                if page.next is not None:
                    text(f"Only the first {len(page.rollouts)} answers are shown; ask for less.", "small soft")
                self._draw_groups(groups)
            with div("w8 stack"):
                self._answers = Answers(self.view)
        self._open_again(groups)

    def _draw_choices(self, stages: Sequence[str], stage: str, span: tuple[int, int], step: int) -> None:
        with div("bits"):
            if len(stages) > 1:
                picked = ui.toggle(list(stages), value=stage, on_change=self._to_stage)
                picked.props("dense no-caps unelevated toggle-color=primary padding='2px 12px'")
            with div("bits").style("flex-wrap: nowrap; gap: 2px; flex: 1 1 260px"):
                back = ui.button(icon="chevron_left", on_click=lambda: self._to_step(step - 1))
                back.props("flat round dense aria-label='the step before'").set_enabled(step > span[0])
                slider = ui.slider(min=span[0], max=span[1], step=1, value=step)
                slider.props("label snap aria-label=step").style("min-width: 90px; margin: 0 8px")
                slider.on("change", lambda event: self._to_step(int(event.args)))
                on = ui.button(icon="chevron_right", on_click=lambda: self._to_step(step + 1))
                on.props("flat round dense aria-label='the next step'").set_enabled(step < span[1])
                newest = ui.button(icon="last_page", on_click=self._to_newest)
                newest.props("flat round dense aria-label='the newest step'")
                text(f"step {step} of {span[1]}", "num").style("white-space: nowrap; min-width: 92px")
            find = ui.input(placeholder="find in questions and answers", value=self._query.text or "")
            find.props("dense outlined clearable debounce=400 aria-label='find text'").style("flex: 1 1 210px")
            find.on_value_change(lambda event: self._ask(text=event.value or None))
            ui.checkbox("in all steps", value=self._everywhere, on_change=self._widen).props("dense")
            states = {"": "any state", "trained": "trained", "dropped": "dropped", "failed": "failed"}
            box = ui.select(states, value=self._query.state or "")
            box.props("dense outlined options-dense").style("min-width: 120px")
            box.on_value_change(lambda event: self._ask(state=event.value or None))

    def _draw_groups(self, groups: Sequence[Group]) -> None:
        self._rows: dict[tuple[str, int, int], ui.element] = {}
        if not groups:
            empty("search_off", "no answer fits what is asked for")
        with div("groups"):
            for group in groups:
                row = div("group").props("role=button tabindex=0")
                row.on("click", partial(self._open, group.place))
                row.on("keydown.enter", partial(self._open, group.place))
                self._rows[group.place] = row
                first = group.rows[0]
                with row:
                    with div("clip"):
                        ui.label(" ".join(first.question.split()) or first.prompt_id).style("display: inline")
                        ui.label(f" → {first.reference}" if first.reference else "").classes("faint").style(
                            "display: inline"
                        )
                    text(number(group.mean, 2) if group.rewards else "no verdict", "num")
                    with div("bars"):
                        for reward in group.rewards or [0.0] * len(group.rows):
                            ui.element("i").style(f"background: {tone(reward) if group.rewards else 'var(--line)'}")
                        chip(first.family or first.task).style("margin-left: auto")
                        if self._everywhere:
                            chip(f"step {group.place[1]}")

    def _open_again(self, groups: Sequence[Group]) -> None:
        """The group that was looked at, if it is still there, else the first."""
        places = [group.place for group in groups]
        if places:
            place = self._place if self._place in places else places[0]
            ui.timer(0, lambda: self._open(place), once=True)

    async def _open(self, place: tuple[str, int, int]) -> None:
        for one, row in self._rows.items():
            row.classes(add="on") if one == place else row.classes(remove="on")
        self._place = place
        if self._answers is not None:
            await self._answers.show(place)

    async def _ask(self, **changed: Any) -> None:
        self._query = replace(self._query, **changed)
        await self.refresh()

    async def _within(self, bounds: Bounds) -> None:
        await self._ask(min_reward=bounds[0], max_reward=bounds[1])

    async def _sort(self, event: events.ValueChangeEventArguments) -> None:
        self._order = event.value
        await self.refresh()

    async def _widen(self, event: events.ValueChangeEventArguments) -> None:
        self._everywhere = event.value
        await self.refresh()

    async def _to_stage(self, event: events.ValueChangeEventArguments) -> None:
        self.view.stage, self.view.step = event.value, None
        await self.refresh()

    async def _to_newest(self) -> None:
        self.view.step = None
        await self.refresh()

    async def _to_step(self, step: int) -> None:
        self.view.step = step
        await self.refresh()


def _groups(rows: Sequence[RolloutRow]) -> list[Group]:
    together: dict[tuple[int, int], list[RolloutRow]] = {}
    for row in rows:
        together.setdefault((row.step, row.occurrence), []).append(row)
    return [Group(rows=tuple(group)) for group in together.values()]
