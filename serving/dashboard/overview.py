"""The run at a glance: its way through the stages, its figures, where a step's time goes, and what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from nicegui import ui

from configs.live import LiveKey
from halyard.runs.reading.health import Health, health
from halyard.runs.reading.runs import RunView, StageView, events, show_run
from serving.dashboard.control import Control
from serving.dashboard.happenings import draw_happenings, draw_preflight, said
from serving.dashboard.history import Line, series, value
from serving.dashboard.parts import PALETTE, ago, button, card, chip, clock, div, duration, empty, number, spark, text
from serving.dashboard.starting import Starting
from serving.dashboard.view import Panel
from serving.errors import Refusal

STATES = {
    "starting": "accent live",
    "running": "good live",
    "pausing": "warn live",
    "paused": "warn",
    "stopping": "warn live",
    "stopped": "warn",
    "failed": "bad",
    "finished": "good",
    "gone": "bad",
}
"""How the state of a run looks."""
_TILES = {
    "rl": (
        ("reward", "reward"),
        ("accuracy", "accuracy"),
        ("entropy", "entropy"),
        ("engine drift", "engine_drift"),
        ("tokens an answer", "response_tokens_mean"),
        ("tokens a second", "tokens_per_second"),
        ("staleness", "staleness_mean"),
        ("without signal", "share_without_signal"),
    ),
    "sft": (
        ("loss", "loss"),
        ("confident", "confident"),
        ("entropy", "entropy"),
        ("gradient norm", "grad_norm"),
        ("tokens a second", "tokens_per_second"),
        ("learning rate", "learning_rate"),
    ),
}
_TYPES = {"sft": "SFT", "rl": "RL", "filter": "filter", "harvest": "harvest", "hard_cases": "hard cases"}
_RECENT = 20
_KINDS = {
    "wait": "waits for answers",
    "forward": "forward",
    "backward": "backward",
    "optimizer": "optimizer",
    "old_logprobs": "old log-probs",
    "reference_logprobs": "reference",
    "pack": "packing",
    "transfer": "weights to engines",
    "drift": "drift check",
    "record": "writing down",
    "evaluate": "held-out test",
    "checkpoint": "checkpoint",
}


class Overview(Panel):
    """One run: where it is, how it does, and what it waits for."""

    name, label, icon = "overview", "Overview", "space_dashboard"

    def read(self) -> Any:
        """The runs, the one that is looked at with its health and events, and the metrics of its stage."""
        folder = self.view.folder
        if folder is None:
            return () if self.view.may("operate") else self.view.runless
        run = show_run(folder)
        stage = self._stage(run)
        lines = self.view.history.lines(folder, stage.name) if stage and stage.type in _TILES else []
        vital = health(folder, processes=False)
        vital = replace(vital, silent_seconds=None)
        told = tuple(events(folder).lines)
        return tuple(self.view.runs), run, stage, vital, len(lines), told, self._keys(run)

    def _keys(self, run: RunView) -> tuple[LiveKey, ...]:
        """What whoever looks may change in a run now; nothing in one of another version."""
        if run.state in ("running", "pausing", "paused") and self.view.may("operate"):
            with suppress(Refusal):
                return tuple(self.view.desk.service.runs.keys(run.name))
        return ()

    def draw(self, found: Any) -> None:
        """All of it; where there is no run, what there is to begin with."""
        if not found:
            self._draw_beginning()
            return
        runs, run, stage, vital, _, happened, keys = found
        lines = self.view.history.lines(run.path, stage.name) if stage and stage.type in _TILES else []
        self._draw_head(run)
        if lines:
            self._draw_tiles(stage, lines)
        with div("columns"):
            with div("section w7"):
                if lines:
                    _draw_step(lines)
                draw_happenings(happened, run)
            with div("section w5"):
                Control(self.view, run, keys, self.again).draw()
                _draw_waits(vital, run)
                draw_preflight(happened, stage.name if stage else None)
                self._draw_runs(runs)

    def _stage(self, run: RunView) -> StageView | None:
        """The stage that was chosen, else the one going on or the last that learnt anything."""
        for stage in run.stages:
            if stage.name == self.view.stage:
                return stage
        current = [stage for stage in run.stages if stage.state == "running"]
        learnt = [stage for stage in run.stages if stage.type == "rl" and stage.step]
        trained = [stage for stage in run.stages if stage.step]
        return (current or learnt[-1:] or trained[-1:] or [None])[0]

    def _draw_head(self, run: RunView) -> None:
        with div("sheet"):
            with div("head"):
                text(run.description or run.recipe, "title")
                text(f"began {ago(run.created)} · last word {ago(run.updated)}", "faint small push")
            if run.why:
                text(run.why, "wrap soft")
            with div("track"):
                for stage in run.stages:
                    self._draw_stop(stage, run)

    def _draw_stop(self, stage: StageView, run: RunView) -> None:
        failed = stage.state == "stopped" and run.state in ("failed", "gone")
        look = "failed" if failed else "now" if stage.state == "running" else stage.state
        share = 1.0 if stage.state == "done" else (stage.step / stage.steps if stage.steps else 0.0)
        steps = f"{stage.step:,}/{stage.steps:,}" if stage.steps else ""
        took = duration(stage.seconds) if stage.seconds is not None else steps
        with div(f"stop {look}").on("click", partial(self._to_stage, stage)).props("role=button tabindex=0"):
            text(f"{stage.index}. {stage.name}", "name")
            text(" · ".join(part for part in (_TYPES.get(stage.type, stage.type), took) if part), "what num")
            with div("fill"):
                div().style(f"width: {100 * share:.1f}%")
            ui.tooltip(f"{stage.name}: {stage.state}" + (f", {steps} steps" if steps else ""))

    def _draw_tiles(self, stage: StageView, lines: Sequence[Line]) -> None:
        of = f" of {stage.steps:,}" if stage.steps else ""
        text(f"{stage.name}, step {stage.step:,}{of}", "soft")
        with div("tiles"):
            for index, (label, key) in enumerate(_TILES[stage.type]):
                points = [y for _, y in series(lines, key)]
                if not points:
                    continue
                with div("tile"):
                    text(label, "label")
                    text(number(points[-1]), "value")
                    text(f"from {number(points[0])}", "delta")
                    ui.html(spark(points[-60:], PALETTE[index % len(PALETTE)]), sanitize=False)

    def _draw_runs(self, runs: Sequence[RunView]) -> None:
        if len(runs) < 2 and not self.view.may("operate"):
            return
        with card("All runs") as head, div("stack runs"):
            for run in runs:
                with div("bits").style("cursor: pointer").on("click", partial(self._to_run, run)):
                    text(run.name, "mono run-name")
                    chip(run.state, STATES[run.state])
                    text(f"{run.stage or 'no stage yet'} · {ago(run.updated)}", "soft small clip")
        if self.view.may("operate"):
            with head, div("push"):
                button("Start a run", "add", on_click=self._start)

    def _draw_beginning(self) -> None:
        """Where there is no run to show: why, and the button that makes one."""
        with div("sheet"):
            empty("sailing", self.view.runless)
            with div("bits").style("justify-content: center; padding-bottom: 24px"):
                button("Start a run", "add", on_click=self._start, main=True)

    async def _start(self) -> None:
        await Starting(self.view).open()

    async def _to_stage(self, stage: StageView) -> None:
        self.view.stage = stage.name
        await self.again()

    def _to_run(self, run: RunView) -> None:
        self.view.choose(run.name)


def _draw_step(lines: Sequence[Line]) -> None:
    """A bar of the last steps' time, and the sentence that it comes down to."""
    recent = lines[-_RECENT:]
    total = _mean(recent, "seconds.step")
    phases = {name: _mean(recent, f"seconds.{name}") for name in _KINDS}
    rest = total - sum(phases.values())
    shown = [(_KINDS[name], seconds) for name, seconds in phases.items() if seconds >= 0.005 * total]
    if rest > 0.01 * total:
        shown.append(("other", rest))
    with card("Where a step goes", hint=f"The learner's time, mean of the last {len(recent)} steps."):
        with div("split"):
            for index, (_, seconds) in enumerate(shown):
                share = 100 * seconds / total
                div().style(f"width: {share:.2f}%; background: {PALETTE[index % len(PALETTE)]}")
        with div("legend"):
            for index, (name, seconds) in enumerate(shown):
                colour = PALETTE[index % len(PALETTE)]
                ui.html(f"<span><i style='background:{colour}'></i>{name} {duration(seconds)}</span>", sanitize=False)
        text(_verdict(recent, phases, total), "soft")


def _mean(lines: Sequence[Line], key: str) -> float:
    found = [seconds for line in lines if (seconds := value(line, key)) is not None]
    return sum(found) / len(found) if found else 0.0


def _verdict(lines: Sequence[Line], phases: Mapping[str, float], total: float) -> str:
    """Who holds the other up, in a sentence."""
    share = phases["wait"] / total if total else 0.0
    judging, answering = _mean(lines, "seconds.score"), _mean(lines, "seconds.generate")
    step = f"A step takes {duration(total)}"
    if share > 0.4:
        slow = "judging" if judging > answering else "the engines"
        return f"{step}; {share:.0%} of it the learner waits for answers, so {slow} decide the pace."
    return f"{step}; the learner waits {share:.0%} of it, so the learner itself decides the pace."


def _draw_waits(vital: Health, run: RunView) -> None:
    with card("Waiting for", hint="What the run waits for now, the longest first, and until when."):
        if not vital.alive:
            text(f"No process drives this run ({run.state}).", "soft")
        elif not vital.waits:
            text("Nothing: it is at work.", "soft")
        for wait in sorted(vital.waits, key=lambda wait: wait.since)[:8]:
            with div("bits small"):
                text(wait.name, "grow clip")
                text(wait.prompt or "", "faint clip mono")
                text(f"since {clock(wait.since)}, at most {duration(wait.seconds)}", "soft num")
        if vital.engine_restarts:
            chip(f"{vital.engine_restarts} engine restarts", "warn")
        for warning in vital.warnings[-3:]:
            text(f"{clock(warning['time'])} {said(warning)}", "small wrap")
