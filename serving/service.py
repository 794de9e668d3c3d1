"""What a running service consists of: one object that the routes are given."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from configs.serving import ServingConfig
from halyard.errors import HalyardError, SnapshotError
from halyard.runs.lines import JsonLines
from model.load import load_processor
from model.render import Renderer
from serving.aliases import Alias, Aliases, draw
from serving.catalogue import Catalogue, Snapshot, split_name
from serving.errors import Refusal
from serving.exchange import Exchange
from serving.fetch import Fetcher
from serving.figures import Answered, Figures
from serving.images import Images
from serving.metrics import Metrics
from serving.pool import Pool
from serving.repeats import Repeats
from serving.runs import Runs, root_of
from serving.slots import Holder

log = logging.getLogger("halyard.serving")

_KEPT_RENDERERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a request's `model` stands for: the snapshot, and the alias that led to it, if one did."""

    snapshot: Snapshot
    alias: str | None = None


class Service:
    """Snapshots, aliases, engines and counts. Used from one event loop."""

    def __init__(self, paths: Sequence[Path], state: Path, engines: Sequence[Holder], config: ServingConfig) -> None:
        """Raises: ConfigError where the paths cannot be served, or another service uses the state folder."""
        self.config = config
        self.catalogue = Catalogue(paths)
        self.catalogue.scan()
        self.aliases = Aliases(state, self.catalogue)
        self.pool = Pool(engines, self.catalogue, config)
        self.runs = Runs(root_of(paths[0]), self.catalogue.run_folders, started=self.catalogue.add)
        self.images = Images(config.limits, Fetcher(config.image_hosts))
        self.metrics = Metrics(self.pool, self.catalogue)
        self.figures: defaultdict[str, Figures] = defaultdict(Figures)
        self.answered = Answered()
        self.repeats = Repeats()
        self.feedback = JsonLines(state / "feedback.jsonl")
        self.draining = False
        self.started = time.time()
        self._by_key: defaultdict[str, int] = defaultdict(int)
        self._renderers: dict[str, Renderer] = {}
        self._scanner: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look for snapshots and to start engines."""
        self._prefer()
        self.pool.start()
        self._scanner = asyncio.create_task(self._scan())

    async def close(self) -> None:
        """Stop the engines, and let another service have the state."""
        if self._scanner is not None:
            self._scanner.cancel()
            await asyncio.gather(self._scanner, return_exceptions=True)
        await self.pool.close()
        self.aliases.close()

    def resolve(self, name: str, exchange: Exchange, user: str | None = None) -> Target:
        """The snapshot that a request's `model` stands for; an alias is looked up once.

        Raises:
            Refusal: there is no such snapshot or alias, or it has gone.
        """
        target = self._find(name, user)
        exchange.snapshot, exchange.alias = target.snapshot.id, target.alias
        return target

    def snapshot(self, name: str) -> Snapshot:
        """The snapshot of an exact name, or the one that an alias leads to first of all.

        Raises:
            Refusal: there is none.
        """
        alias = self.aliases.get(name)
        if alias is not None and alias.main is not None:
            name = f"{alias.run}@{alias.main}"
        found = self.catalogue.get(name)
        if found is None:
            raise self._unknown(name)
        return found

    async def promote(self, snapshot: Snapshot, name: str, share: float, *, wait: bool, who: str, why: str) -> Alias:
        """The alias of that name, leading to a snapshot that is loaded (or, without `wait`, will be).

        With an engine to spare the snapshot is loaded first, and nobody waits. With one engine the alias changes
        first: requests that name it then wait for the new weights, and none asks for the old ones back.

        Raises:
            Refusal: the snapshot is damaged or could not be loaded; the alias leads where it led before.
        """
        beside = self.pool.beside(snapshot)
        if wait and beside:
            await self.pool.warm(snapshot)
        else:
            await self._verified(snapshot)
        before = self.aliases.get(f"{snapshot.run}@{name}")
        alias = self.aliases.promote(snapshot, name, share, who=who, why=why)
        if wait and not beside:
            try:
                await self.pool.warm(snapshot)
            except Refusal:
                self.aliases.undo(alias, before)
                raise
        return alias

    async def _verified(self, snapshot: Snapshot) -> None:
        try:
            await asyncio.to_thread(self.catalogue.verify, snapshot)
        except SnapshotError as error:
            raise Refusal(410, str(error), code="snapshot_damaged") from None

    @contextmanager
    def admitted(self, exchange: Exchange) -> Iterator[None]:
        """A block for one request of its key.

        Raises:
            Refusal: the service is stopping, or the key has too many requests already.
        """
        if self.draining:
            raise Refusal(503, "the service is being stopped", code="shutting_down", retry_after=5)
        key, most = exchange.caller.name if exchange.caller else "", self.config.limits.per_key
        if exchange.caller and self._by_key[key] >= most and key != "local":
            message = f"the key {key} has {most} requests in flight, as many as it may; wait for one to end"
            raise Refusal(429, message, code="key_busy", retry_after=1)
        self._by_key[key] += 1
        try:
            yield
        finally:
            self._by_key[key] -= 1

    @property
    def busy(self) -> int:
        """Requests that are being answered or wait."""
        return sum(self._by_key.values())

    async def renderer(self, snapshot: Snapshot) -> Renderer:
        """What writes prompts for a snapshot; no engine is needed."""
        whole = snapshot.weights
        if whole.digest not in self._renderers:
            found = await asyncio.to_thread(load_processor, whole.path)
            if len(self._renderers) >= _KEPT_RENDERERS:
                del self._renderers[next(iter(self._renderers))]
            self._renderers[whole.digest] = found
        return self._renderers[whole.digest]

    def ended(self, exchange: Exchange, route: str) -> None:
        """Count a request that has ended."""
        seconds = time.monotonic() - exchange.start
        self.metrics.ended(exchange, route, seconds)
        if exchange.snapshot is None or exchange.waited is None:
            return
        figures = self.figures[exchange.snapshot]
        figures.requests += 1
        figures.errors += exchange.status >= 500 or (exchange.status == 200 and exchange.error is not None)
        figures.prompt_tokens += exchange.prompt_tokens
        figures.tokens += exchange.tokens
        figures.seconds.append(seconds)
        if exchange.first_token is not None:
            figures.first_token.append(exchange.first_token - exchange.start)

    def _find(self, name: str, user: str | None) -> Target:
        alias = self.aliases.get(name)
        if alias is None or not alias.shares:
            found = self.catalogue.get(name)
            if found is None:
                raise self._unknown(name)
            return Target(snapshot=found)
        version = alias.version(draw(user or uuid.uuid4().hex))
        found = self.catalogue.get(f"{alias.run}@{version}")
        if found is None:
            message = f"{alias.id} leads to {version}, which has gone from the disk; promote another version"
            raise Refusal(410, message, param="model", code="snapshot_gone")
        return Target(snapshot=found, alias=alias.id)

    def _unknown(self, name: str) -> Refusal:
        """The refusal of a name that stands for nothing."""
        if self.catalogue.was_there(name):
            return Refusal(410, f"the snapshot {name} has gone from the disk", param="model", code="snapshot_gone")
        parts = split_name(name)
        if parts is None:
            message = "expected a model as RUN@VERSION or RUN@ALIAS; GET /v1/models lists what there is"
            return Refusal(404, message, param="model", code="model_not_found")
        run, short = parts
        if run not in self.catalogue.runs:
            others = ", ".join(self.catalogue.runs)
            what = f"there is no run {run} here, {f'only {others}' if others else 'and no other yet'}"
        elif short == "stable":
            what = f"nothing has been promoted to {name} yet: POST /v1/snapshots/{run}@VERSION/promote does"
        else:
            what = f"{run} has no version or alias {short}; GET /v1/models lists what there is"
        return Refusal(404, what, param="model", code="model_not_found")

    def _prefer(self) -> None:
        """Have unused engines start with the newest policy of the first run that has one."""
        for run in self.catalogue.runs:
            latest = self.aliases.get(f"{run}@latest")
            found = self.catalogue.get(f"{run}@{latest.main}") if latest else None
            if found is not None:
                self.pool.prefer(found)
                return

    async def _scan(self) -> None:
        """Look for new snapshots, again and again."""
        told: set[str] = set()
        while True:
            try:
                for snapshot in await asyncio.to_thread(self.catalogue.scan):
                    log.info("%s can be served", snapshot.id)
                for problem in self.catalogue.problems.values():
                    if problem not in told:
                        log.error("%s", problem)
                        told.add(problem)
                self._prefer()
            except (HalyardError, OSError) as error:
                log.error("the runs cannot be looked at: %s", error)
            await asyncio.sleep(self.config.scan_seconds)
