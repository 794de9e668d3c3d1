"""Metrics for Prometheus: of requests as they end, and of the engines and runs as they are when it asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.catalogue import Catalogue
from serving.exchange import Exchange
from serving.pool import Pool

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """What is counted; `text` is the page that Prometheus reads."""

    def __init__(self, pool: Pool, catalogue: Catalogue) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Engines(pool))
        self._registry.register(_Runs(catalogue))
        registry, by = self._registry, ["route", "snapshot"]
        self._requests = Counter("halyard_requests", "Requests ended.", [*by, "status"], registry=registry)
        self._seconds = Histogram("halyard_request_seconds", "Time.", by, buckets=_SECONDS, registry=registry)
        self._first = Histogram(
            "halyard_first_token_seconds",
            "Time to the first token of streams.",
            ["snapshot"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._waited = Histogram(
            "halyard_wait_seconds", "Time until an engine was free.", ["snapshot"], buckets=_SECONDS, registry=registry
        )
        self._tokens = Counter("halyard_tokens", "Tokens read and written.", ["snapshot", "kind"], registry=registry)
        self._feedback = Counter("halyard_feedback", "Verdicts of clients.", ["snapshot", "kind"], registry=registry)

    def ended(self, exchange: Exchange, route: str, seconds: float) -> None:
        """Count a request; `route` is the template of its path, never what a client wrote."""
        snapshot = exchange.snapshot or ""
        self._requests.labels(route, snapshot, str(exchange.status)).inc()
        self._seconds.labels(route, snapshot).observe(seconds)
        if not snapshot:
            return
        if exchange.first_token is not None:
            self._first.labels(snapshot).observe(exchange.first_token - exchange.start)
        if exchange.waited is not None:
            self._waited.labels(snapshot).observe(exchange.waited)
        self._tokens.labels(snapshot, "prompt").inc(exchange.prompt_tokens)
        self._tokens.labels(snapshot, "answer").inc(exchange.tokens)

    def feedback(self, snapshot: str, score: float) -> None:
        """Count what a client thought of an answer."""
        self._feedback.labels(snapshot, "good" if score > 0 else "bad" if score < 0 else "neutral").inc()

    def text(self) -> bytes:
        """All metrics, in Prometheus's text format."""
        return generate_latest(self._registry)


class _Engines(Collector):
    """The engines and the queue, as they are now."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        pool = self._pool
        yield GaugeMetricFamily("halyard_waiting", "Requests waiting for an engine.", value=pool.waiting)
        yield GaugeMetricFamily("halyard_in_flight", "Sequences being generated.", value=pool.in_flight)
        yield CounterMetricFamily("halyard_engine_restarts", "Engines started again.", value=pool.restarts)
        up = GaugeMetricFamily("halyard_engine_up", "1 while it serves.", labels=["engine", "snapshot"])
        for slot in pool.slots:
            snapshot = slot.engine.snapshot.id if slot.engine.snapshot else ""
            up.add_metric([slot.engine.name, snapshot], float(slot.state() == "serving"))
        yield up
        yield CounterMetricFamily("halyard_swaps", "Changes of an engine's snapshot.", value=pool.swap_count)
        swap = GaugeMetricFamily("halyard_last_swap_seconds", "The last change of a snapshot.", labels=["phase"])
        if pool.swaps:
            last = pool.swaps[-1]
            for phase, seconds in (("drain", last.drain), ("load", last.load), ("longest_wait", last.longest_wait)):
                swap.add_metric([phase], seconds)
        yield swap


class _Runs(Collector):
    """The last figures of each stage of the runs that are served."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def collect(self) -> Iterator[Metric]:
        metric = GaugeMetricFamily("halyard_run", "Figures of a stage's last step.", labels=["run", "stage", "figure"])
        for run, folder in self._catalogue.run_folders.items():
            for file in sorted(folder.glob("stages/*/metrics.jsonl")):
                for name, value in _last_line(file).items():
                    if isinstance(value, int | float):
                        metric.add_metric([run, file.parent.name, name], float(value))
        yield metric


def _last_line(file: Path) -> dict[str, Any]:
    """The last whole line of a JSONL file, which may just be written."""
    try:
        with file.open("rb") as lines:
            lines.seek(max(0, file.stat().st_size - 65536))
            whole = lines.read().rpartition(b"\n")[0]
        return json.loads(whole.rpartition(b"\n")[2])
    except (OSError, ValueError):
        return {}
