"""All judges of a run: terms come in, live judging goes out; what terms share is kept here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from configs.judge import JudgeEndpoint, JudgeTerm
from configs.rubric import load_rubric
from halyard.errors import ConfigError
from halyard.runs.listeners import Events
from rewards.judges.endpoint import Endpoint
from rewards.judges.judge import Judge
from rewards.judges.judging import JudgeJudging, PairJudging, SingleJudging
from rewards.judges.store import Store

_SHARED = set(JudgeEndpoint.model_fields)


def nobody(kind: str, **fields: Any) -> None:
    """Nothing; nobody is told of events."""


class Court:
    """The judges of a run.

    `url` and `version` are of the judge that the pipeline trained, which terms without a URL ask; the version
    tells its answers from those of another training. `folder` keeps answers and costs (none: memory does), `root`
    is where paths of the recipe begin, `event` is told of outages, of judges that change, and at the end of costs.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        version: str = "",
        folder: Path | None = None,
        root: Path = Path(),
        event: Events = nobody,
    ) -> None:
        self._url, self._version, self._folder, self._root, self._event = url, version, folder, root, event
        self._stores: dict[Path | None, Store] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._judges: list[tuple[JudgeTerm, Judge]] = []

    def judging(self, term: JudgeTerm) -> JudgeJudging:
        """The term, live; nothing is asked yet.

        Raises:
            ConfigError: there is nobody to ask, or the rubric, the URL or the key is wrong.
            RewardError: the answers cannot be kept on disk.
        """
        url = term.url or self._url
        if url is None:
            raise ConfigError("a judge term without url asks the judge that the pipeline trained, and there is none")
        rubric = load_rubric(term.rubric, self._root)
        store = self._store(term)
        endpoint = self._endpoint(term, url, store)
        origin = term.url or f"the pipeline's {self._version}"
        judge = Judge(term, rubric, endpoint, store, origin=origin, event=self._event)
        self._judges.append((term, judge))
        kind = PairJudging if rubric.form == "pair" else SingleJudging
        return kind(term, rubric, judge, endpoint.breaker)

    async def close(self) -> None:
        """End all connections; what each term cost is told."""
        for term, judge in self._judges:
            await judge.close()
            self._event("judge_costs", judge=term.model, rubric=term.rubric, **judge.figures.total())
        for endpoint in self._endpoints.values():
            await endpoint.close()
        for store in self._stores.values():
            store.close()
        self._judges, self._endpoints, self._stores = [], {}, {}

    def _store(self, term: JudgeTerm) -> Store:
        folder = self._root / Path(term.cache).expanduser() if term.cache is not None else self._folder
        if folder not in self._stores:
            self._stores[folder] = Store(folder)
        return self._stores[folder]

    def _endpoint(self, term: JudgeTerm, url: str, store: Store) -> Endpoint:
        key = term.model_dump_json(include=_SHARED)
        if key not in self._endpoints:
            self._endpoints[key] = Endpoint(term, url=url, store=store, event=self._event)
        return self._endpoints[key]
