"""The stages that make data, over a hand-written engine: what is kept, what is dropped, and why."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from configs.load import LoadedRecipe
from configs.recipe import Recipe
from halyard.cluster.types import Completion, GenerationRequest
from halyard.data.rows import write_jsonl
from halyard.data.types import Message, Row
from halyard.errors import DataError, EngineError
from halyard.pipeline import lasting
from halyard.pipeline.curation import make_rows
from halyard.pipeline.walk import Walk
from halyard.runs.folder import RunFolder
from halyard.runs.rollouts import RolloutRecord

RIGHT, WRONG = "<think>2 and 3.</think>\\boxed{5}", "<think>2 and 3.</think>\\boxed{6}"


class Speller:
    """A renderer whose tokens are characters."""

    def prompt(self, chat: Any, *, thinking: bool) -> Any:
        return SimpleNamespace(token_ids=np.array([ord(letter) for letter in chat[-1].text]), images=())

    def decode(self, ids: Any) -> str:
        return "".join(map(chr, ids))


class Oracle:
    """An engine that answers a prompt with what its id asks for: `sometimes-3` is right in the odd samples."""

    def __init__(self) -> None:
        self.requests: list[GenerationRequest] = []
        self.deaths = 0

    async def generate(self, request: GenerationRequest) -> tuple[Completion, ...]:
        if self.deaths:
            self.deaths -= 1
            raise EngineError("the engine died")
        self.requests.append(request)
        kind = request.id.partition("-")[0]
        return tuple(
            self._completion(request, RIGHT if kind == "always" or (kind == "sometimes" and index % 2) else WRONG, seed)
            for index, seed in enumerate(request.seeds)
        )

    def _completion(self, request: GenerationRequest, text: str, seed: int) -> Completion:
        ids = tuple(map(ord, text))
        return Completion(
            prompt_token_ids=request.token_ids,
            token_ids=ids,
            logprobs=(0.0,) * len(ids),
            finish_reason="stop",
            spans=((0, len(ids), 0),),
            seed=seed,
        )


class Cluster:
    """Hands out one engine, and starts it again."""

    def __init__(self, engine: Oracle) -> None:
        self.policy = engine
        self.restarts = 0

    async def engine(self, role: str, path: Path) -> Oracle:
        return self.policy

    async def restart_engine(self, role: str) -> None:
        self.restarts += 1


def rows(*names: str) -> list[Row]:
    asked = [Message(role="user", text="2+3?")]
    return [Row(id=name, messages=tuple(asked), answer="5", task="math", family="sum") for name in names]


def walk(tmp_path: Path, *stages: dict[str, Any], engine: Oracle | None = None) -> Walk:
    recipe = Recipe.model_validate({"name": "tiny", "model": {"build": "nano"}, "stages": stages})
    loaded = LoadedRecipe(recipe=recipe, root=tmp_path, path=tmp_path / "tiny.yaml", origins=None)  # type: ignore[arg-type]
    parts: dict[str, Any] = {
        "cluster": Cluster(engine or Oracle()),
        "screen": SimpleNamespace(progress=lambda *_: None, note=lambda *_, **__: None),
        "interrupts": None,
        "control": None,
        "models": {"policy": tmp_path},
    }
    made = Walk(loaded=loaded, run=RunFolder.create(tmp_path, "run", recipe), **parts)
    made.renderer = lambda role="policy": Speller()  # type: ignore[method-assign,assignment]
    return made


def source(path: Path, *names: str) -> dict[str, Any]:
    write_jsonl(path, rows(*names))
    return {"sources": [{"type": "jsonl", "path": path.name}]}


def kept(one: Walk, stage: str) -> list[str]:
    return [json.loads(line)["id"] for line in (one.folder(stage).path / "rows.jsonl").read_text().splitlines()]


async def test_the_filter_keeps_what_is_solved_sometimes(tmp_path: Path) -> None:
    data = source(tmp_path / "a.jsonl", "always-1", "sometimes-2", "never-3", "sometimes-4")
    engine = Oracle()
    one = walk(tmp_path, {"name": "filter", "type": "filter", "data": data, "samples": 4}, engine=engine)
    report = await make_rows(one.recipe.stages[0], one.folder("filter"), one)  # type: ignore[arg-type]
    assert kept(one, "filter") == ["sometimes-2", "sometimes-4"]
    assert report["outcomes"] == {
        "kept": {"all": 2, "sum": 2},
        "dropped: always right": {"all": 1, "sum": 1},
        "dropped: never right": {"all": 1, "sum": 1},
    }
    assert json.loads((one.folder("filter").path / "report.json").read_text()) == report
    assert {len(set(request.seeds)) for request in engine.requests} == {4}


async def test_samples_are_the_same_when_they_are_drawn_again(tmp_path: Path) -> None:
    seeds = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        data = source(tmp_path / name / "a.jsonl", "sometimes-1", "sometimes-2")
        engine = Oracle()
        one = walk(tmp_path / name, {"name": "filter", "type": "filter", "data": data}, engine=engine)
        await make_rows(one.recipe.stages[0], one.folder("filter"), one)  # type: ignore[arg-type]
        seeds.append({request.id: request.seeds for request in engine.requests})
    assert seeds[0] == seeds[1]
    assert seeds[0]["sometimes-1"] != seeds[0]["sometimes-2"]


async def test_keeping_nothing_is_an_error_that_says_why(tmp_path: Path) -> None:
    data = source(tmp_path / "a.jsonl", "always-1", "never-3")
    one = walk(tmp_path, {"name": "filter", "type": "filter", "data": data})
    with pytest.raises(DataError, match=r"filter kept no row.*always right 1.*never right 1"):
        await make_rows(one.recipe.stages[0], one.folder("filter"), one)  # type: ignore[arg-type]


async def test_a_prompt_that_does_not_fit_is_reported_and_left_out(tmp_path: Path) -> None:
    data = source(tmp_path / "a.jsonl", "sometimes-2")
    long = Row(id="sometimes-3", messages=(Message(role="user", text="x" * 500),), answer="5", family="sum")
    write_jsonl(tmp_path / "a.jsonl", [*rows("sometimes-2"), long])
    one = walk(tmp_path, {"name": "filter", "type": "filter", "data": data})
    report = await make_rows(one.recipe.stages[0], one.folder("filter"), one)  # type: ignore[arg-type]
    assert kept(one, "filter") == ["sometimes-2"]
    assert report["outcomes"]["dropped: not judged"]["all"] == 1
    assert [event["reason"][:11] for event in one.run.events() if event["event"] == "bad_row"] == ["sometimes-3"]


async def test_hard_cases_with_as_many_general_ones(tmp_path: Path) -> None:
    data = source(tmp_path / "a.jsonl", "always-1", "sometimes-2", "never-3")
    general = source(tmp_path / "b.jsonl", "general-1", "general-2")
    stage = {"name": "hard", "type": "hard_cases", "data": data, "general": general, "samples": 2}
    one = walk(tmp_path, stage)
    await make_rows(one.recipe.stages[0], one.folder("hard"), one)  # type: ignore[arg-type]
    assert kept(one, "hard") == ["sometimes-2", "general-1"]


def rollout(step: int, prompt_id: str, text: str, **changes: Any) -> RolloutRecord:
    fields: dict[str, Any] = {
        "step": step,
        "occurrence": 0,
        "prompt_id": prompt_id,
        "index": 0,
        "thinking": True,
        "question": "2+3?",
        "reference": "5",
        "task": "math",
        "family": "sum",
        "prompt_token_ids": [1],
        "response_token_ids": [2],
        "rollout_logprobs": [0.0],
        "text": text,
        "finish_reason": "stop",
        "seed": 0,
        "version_oldest": 0,
        "version_newest": 0,
        "reward": float("5}" in text),
        "components": {"answer": float("5}" in text)},
        "status": "ok",
        "reason": "",
        "state": "dropped",
        "why": "no signal",
        "advantage": None,
    }
    return RolloutRecord(**{**fields, **changes})


async def test_the_harvest_takes_right_late_thinking_rollouts(tmp_path: Path) -> None:
    data = source(tmp_path / "a.jsonl", "p1", "p2", "p3", "p4")
    direct = [
        Row(
            id=f"d{index}",
            messages=(Message(role="user", text="2+3?"), Message(role="assistant", text="\\boxed{5}")),
            answer="5",
        )
        for index in range(20)
    ]
    write_jsonl(tmp_path / "d.jsonl", direct)
    one = walk(
        tmp_path,
        {"name": "rl", "type": "rl", "data": data, "steps": 4},
        {
            "name": "harvest",
            "type": "harvest",
            "stage": "rl",
            "rows": 8,
            "thinking_share": 0.25,
            "direct": {"sources": [{"type": "jsonl", "path": "d.jsonl"}]},
        },
    )
    records = {
        1: [rollout(1, "p1", RIGHT)],  # too early: last_steps is a half
        3: [rollout(3, "p1", WRONG), rollout(3, "p2", RIGHT), rollout(3, "p2", "\\boxed{5}", thinking=False)],
        4: [rollout(4, "p3", RIGHT.replace("2", "two")), rollout(4, "p4", RIGHT, reward=None)],
    }
    for step, of_step in records.items():
        one.folder("rl").write_rollouts(step, of_step)
    report = await make_rows(one.recipe.stages[1], one.folder("harvest"), one)  # type: ignore[arg-type]
    lines = [json.loads(line) for line in (one.folder("harvest").path / "rows.jsonl").read_text().splitlines()]
    harvested = {line["messages"][-1]["reasoning"] for line in lines if "harvest" in line["id"]}
    assert harvested == {"2 and 3.", "two and 3."}
    assert len(lines) == 8
    assert report["outcomes"]["dropped: not right"] == {"all": 1, "sum": 1}


async def test_an_engine_that_dies_is_asked_again_with_the_same_seeds(tmp_path: Path) -> None:
    engine, events = Oracle(), []
    engine.deaths = 1
    cluster = Cluster(engine)
    lasts = await lasting.LastingEngine.start(cluster, tmp_path, lambda kind, **_: events.append(kind))  # type: ignore[arg-type]
    request = GenerationRequest(id="always-1", token_ids=(1,), seeds=(7, 8), max_tokens=4)
    completions = await lasts.generate(request)
    assert [one.seed for one in completions] == [7, 8]
    assert (cluster.restarts, events) == (1, ["engine_restart"])
