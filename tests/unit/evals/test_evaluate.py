from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from configs.stages import EvaluateConfig
from halyard.cluster.types import Completion, GenerationRequest
from halyard.data.types import Message, Row, Verdict
from halyard.errors import ConfigError, EngineError
from halyard.evals import evaluate as module
from halyard.evals.evaluate import Answer, evaluate, sample_seed
from halyard.evals.evaluation import Evaluation, Graded
from halyard.evals.plot import plot_stages

CONFIG = EvaluateConfig.model_validate(
    {
        "benchmarks": [
            {"name": "sums", "data": {"sources": [{"type": "synthetic", "rows": 4}]}, "samples": 2},
            {
                "name": "words",
                "data": {"sources": [{"type": "synthetic", "rows": 4}]},
                "samples": 1,
                "modes": ["direct"],
            },
        ]
    }
)
ROWS = [
    Row(id=f"{family}-{i}", messages=(Message(role="user", text=f"{i}"),), answer=str(i), family=family)
    for family in ("small", "large")
    for i in (1, 2)
]
DATA = {"sums": ROWS, "words": ROWS[:2]}


class Engine:
    """Answers with the seed's parity: 1 for even seeds, 0 for odd ones."""

    def __init__(self, fails: bool = False) -> None:
        self.requests: list[GenerationRequest] = []
        self.at_once = self.most_at_once = 0
        self.fails = fails

    async def generate(self, request: GenerationRequest) -> tuple[Completion, ...]:
        if self.fails:
            raise EngineError("engine-0 died")
        self.requests.append(request)
        self.at_once += len(request.seeds)
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0.001)
        self.at_once -= len(request.seeds)
        return tuple(
            Completion(
                prompt_token_ids=request.token_ids,
                token_ids=(1 - seed % 2,) * 3,
                logprobs=(0.0,) * 3,
                finish_reason="stop",
                spans=((0, 3, 0),),
                seed=seed,
            )
            for seed in request.seeds
        )


class Renderer:
    def prompt(self, chat: Sequence[Any], *, thinking: bool) -> Any:
        return SimpleNamespace(token_ids=np.array([7, int(thinking)]), images=(Image.new("RGB", (2, 2)),))

    def decode(self, ids: Sequence[int]) -> str:
        return str(ids[0])


async def grade(answers: Sequence[Answer]) -> list[Verdict]:
    return [Verdict(reward=float(one.text), components={"format": float(one.thinking)}) for one in answers]


async def measured(engine: Engine, seed: int = 0) -> Evaluation:
    return Evaluation.of(await evaluate(engine, Renderer(), CONFIG, data=DATA, seed=seed, grade=grade))  # pyright: ignore[reportArgumentType]


async def test_every_prompt_is_asked_in_every_mode() -> None:
    engine = Engine()
    evaluation = await measured(engine)
    ids = sorted(request.id for request in engine.requests)
    rows = sorted(row.id for row in ROWS)
    assert ids == [f"sums/direct/{row}" for row in rows] + [f"sums/thinking/{row}" for row in rows] + [
        "words/direct/small-1",
        "words/direct/small-2",
    ]
    seeds = [seed for request in engine.requests if "sums/thinking" in request.id for seed in request.seeds]
    overall = evaluation.overall("sums", "thinking")
    assert overall is not None
    assert overall.pass_at_1 == pytest.approx(sum(1 - seed % 2 for seed in seeds) / 8)
    assert (overall.prompts, overall.samples, overall.tokens, overall.format_rate) == (4, 8, 3.0, 1.0)
    assert [cell.family for cell in evaluation.families("sums", "direct")] == ["large", "small"]
    assert evaluation.families("words", "direct") == ()
    assert evaluation.overall("words", "thinking") is None


async def test_every_answer_is_there_with_its_text() -> None:
    answers = await evaluate(Engine(), Renderer(), CONFIG, data=DATA, seed=0, grade=grade)  # pyright: ignore[reportArgumentType]
    assert [(one.prompt_id, one.sample) for one in answers if one.benchmark == "words"] == [
        ("small-1", 0),
        ("small-2", 0),
    ]
    assert all(float(one.text) == one.right for one in answers)


async def test_draws_are_the_same_at_every_stage() -> None:
    first, second, other = Engine(), Engine(), Engine()
    assert await measured(first) == await measured(second)
    await measured(other, seed=1)
    seeds = [{request.id: request.seeds for request in one.requests} for one in (first, second, other)]
    assert seeds[0] == seeds[1]
    assert all(seeds[0][key] != seeds[2][key] for key in seeds[0])
    everything = [seed for own in seeds[0].values() for seed in own]
    assert len(set(everything)) == len(everything)
    assert all(0 <= seed < 2**31 for seed in everything)
    assert sample_seed(0, "sums", "a", "direct", 0) != sample_seed(0, "sum", "sa", "direct", 0)


async def test_only_so_many_samples_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_FLIGHT", 4)
    engine = Engine()
    await measured(engine)
    assert engine.most_at_once <= 4 + 4  # of each of the two benchmarks


async def test_a_dead_engine_is_named() -> None:
    with pytest.raises(EngineError, match="engine-0 died"):
        await measured(Engine(fails=True))


async def test_a_benchmark_without_rows_is_refused() -> None:
    with pytest.raises(ConfigError, match="the benchmark words has no rows"):
        await evaluate(Engine(), Renderer(), CONFIG, data={"sums": ROWS}, seed=0, grade=grade)  # pyright: ignore[reportArgumentType]


def graded(prompt: str, right: float | None, family: str = "a") -> Graded:
    return Graded(
        benchmark="b",
        mode="direct",
        prompt_id=prompt,
        sample=0,
        family=family,
        right=right,
        well_formed=True,
        tokens=4,
        text="",
        reason="",
    )


def test_what_could_not_be_judged_is_left_out_and_counted() -> None:
    evaluation = Evaluation.of([graded("p", 1.0), graded("p", None), graded("q", 0.0), graded("q", 0.0)])
    (cell,) = evaluation.cells
    assert (cell.pass_at_1, cell.failed, cell.samples, cell.prompts) == (0.5, 1, 4, 2)


async def test_an_evaluation_survives_json_and_is_shown() -> None:
    evaluation = await measured(Engine())
    assert Evaluation.from_json(json.loads(json.dumps(evaluation.to_json()))) == evaluation
    console = Console(width=120)
    with console.capture() as capture:
        console.print(evaluation.table("after the stage"))
    shown = capture.get()
    assert "after the stage" in shown
    assert "thinking" in shown


async def test_the_stages_are_drawn(tmp_path: Path) -> None:
    stages = [("first", await measured(Engine())), ("second", await measured(Engine(), seed=1))]
    plot_stages(stages, tmp_path / "stages.png")
    with Image.open(tmp_path / "stages.png") as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 10
