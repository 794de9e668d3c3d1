"""Engines that serve and the processes that train: what each does, and what a change of weights cost."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from halyard.runs.reading.health import Health, ProcessView, health
from serving.dashboard.parts import ago, card, chip, clock, div, duration, number, table, text
from serving.dashboard.view import Panel
from serving.slots import Swap

_TONES = {
    "empty": "",
    "serving": "good",
    "loading": "accent live",
    "draining": "accent live",
    "starting": "accent live",
}
_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Engine:
    name: str
    state: str
    snapshot: str | None
    adapters: tuple[str, ...]
    target: str | None
    in_flight: int
    silent: float | None


class Engines(Panel):
    """The health of the service, and of the run that is looked at."""

    name, label, icon = "engines", "Engines", "memory"
    scope = "operate"

    def read(self) -> Any:
        """The engines of the service, its changes of weights, and the processes of the run."""
        service = self.view.desk.service
        pool = service.pool
        engines = tuple(
            _Engine(
                name=slot.engine.name,
                state=slot.state(),
                snapshot=slot.engine.snapshot.id if slot.engine.snapshot else None,
                adapters=tuple(slot.engine.adapters),
                target=slot.target.id if slot.target else None,
                in_flight=slot.in_flight,
                silent=round(slot.silent_for()) if slot.in_flight and slot.engine.alive else None,
            )
            for slot in pool.slots
        )
        counts = (pool.waiting, service.busy, pool.restarts, pool.swap_count)
        swaps = tuple(asdict(swap) for swap in pool.swaps)
        folder = self.view.folder
        return engines, counts, swaps, health(folder) if folder else None

    def draw(self, found: Any) -> None:
        """Engines, the service's counts, changes of weights, and the run's processes."""
        engines, counts, swaps, vital = found
        self._draw_counts(counts, [Swap(**swap) for swap in swaps])
        with div("columns"):
            for engine in engines:
                _draw_engine(engine, width=12 // min(3, len(engines)))
            _draw_swaps([Swap(**swap) for swap in swaps], idle=not self.view.desk.service.catalogue.all())
            if vital is not None:
                self._draw_run(vital)

    def _draw_counts(self, counts: tuple[int, ...], swaps: list[Swap]) -> None:
        waiting, busy, restarts, changes = counts
        waits = [swap.longest_wait for swap in swaps if swap.old]
        loads = [swap.load for swap in swaps if swap.old]
        figures = (
            ("in progress", str(busy), "requests"),
            ("waiting", str(waiting), f"at most {self.view.desk.service.config.limits.queue}"),
            ("restarts of engines", str(restarts), "since the service started"),
            ("changes of weights", str(changes), f"started {ago(self.view.desk.service.started)}"),
            ("worst load", f"{number(max(loads), 2)} s" if loads else "–", "of other weights"),
            ("worst wait", f"{number(max(waits), 2)} s" if waits else "–", "of a request for them"),
        )
        with div("tiles"):
            for label, value, more in figures:
                with div("tile"):
                    text(label, "label")
                    text(value, "value")
                    text(more, "delta")

    def _draw_run(self, vital: Health) -> None:
        with card(f"Processes of {self.view.run}", hint="Its driver, engines and learners on this machine.", width=12):
            if not vital.alive:
                text("No process drives this run now.", "soft")
                return
            with div("bits"):
                chip(f"driver {vital.driver}", "good")
                if vital.silent_seconds is not None:
                    chip(f"last word {duration(vital.silent_seconds)} ago", "warn" if vital.silent_seconds > 30 else "")
                if vital.engine_restarts:
                    chip(f"{vital.engine_restarts} engine restarts", "warn")
            order = {"driver": 0, "engine": 1, "learner": 2}
            shown = sorted(vital.processes, key=lambda one: (order.get(one.kind, 3), one.pid))
            head = ("what", "process", "name", "CPU", "memory", "up")
            table(head, [_process(one) for one in shown], right=(1, 3, 4, 5))


def _draw_engine(engine: _Engine, width: int) -> None:
    with card(engine.name, width=width) as head:
        with head:
            chip(engine.state, _TONES.get(engine.state, "bad"))
        with div("stack").style("gap: 3px"):
            text(engine.snapshot or "holds nothing yet", "mono wrap")
            for adapter in engine.adapters:
                text(f"+ {adapter}", "mono soft small wrap")
            if engine.target:
                text(f"takes {engine.target}", "soft small wrap")
            said = f"{engine.in_flight} answers in flight"
            if engine.silent is not None:
                said += f", last token {engine.silent} s ago"
            text(said, "soft small num")


def _draw_swaps(swaps: list[Swap], *, idle: bool) -> None:
    hint = "drain: until what was in flight had ended; load: reading the weights; held: requests that waited for it."
    with card("Changes of weights", hint=hint):
        if not swaps:
            why = "no snapshot is there to serve" if idle else "the first engine starts, which takes 15 to 30 seconds"
            text(f"None yet: {why}.", "soft")
            return
        rows = [
            (
                clock(swap.time),
                swap.engine,
                f"{swap.old or 'start'} → {swap.new}",
                f"{swap.drain:.3f} s",
                f"{swap.load:.3f} s",
                str(swap.held),
                f"{swap.longest_wait:.2f} s" if swap.held else "–",
            )
            for swap in reversed(swaps[-_SHOWN:])
        ]
        table(("when", "engine", "versions", "drain", "load", "held", "longest wait"), rows, right=(3, 4, 5, 6))


def _process(one: ProcessView) -> tuple[str, ...]:
    memory = f"{one.memory_bytes / 2**30:.2f} GiB"
    return one.kind, str(one.pid), one.name, duration(one.cpu_seconds), memory, duration(time.time() - one.since)
