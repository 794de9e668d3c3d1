"""Benchmarks: held-out problems, answered by an engine in each mode, and graded."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from configs.stages import BenchmarkConfig, EvaluateConfig
from halyard.cluster.types import Completion, GenerationRequest
from halyard.data.chat import to_chat
from halyard.data.prompts import to_prompt
from halyard.data.types import Prompt, Row, Verdict
from halyard.errors import ConfigError
from halyard.evals.evaluation import Graded, Mode
from halyard.tasks import Task

if TYPE_CHECKING:
    from model.render import Renderer

IN_FLIGHT = 512
"""Samples asked for at the same time; more would only hold opened images in memory."""


class Generates(Protocol):
    """What an evaluation needs of an engine."""

    async def generate(self, request: GenerationRequest) -> tuple[Completion, ...]:
        """One completion a seed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response to be graded: its whole text, the right answer, how to compare, the mode and the question asked."""

    text: str
    reference: str | None
    task: Task
    thinking: bool
    prompt: str


Grade = Callable[[Sequence[Answer]], Awaitable[list[Verdict]]]
"""Grades answers; the reward is 1 or 0, the component "format" whether it is well-formed."""


async def evaluate(
    engine: Generates,
    renderer: Renderer,
    config: EvaluateConfig,
    *,
    data: Mapping[str, Sequence[Row]],
    seed: int,
    grade: Grade,
    progress: Callable[[int, int], None] | None = None,
) -> list[Graded]:
    """Every graded answer to every benchmark, in order; `data` holds the rows of each by name.

    A sample's seed follows from `seed`, benchmark, prompt, mode and number alone, so that every stage is
    measured with the same draws. `progress` is told (prompts answered, prompts in all).

    Raises:
        ConfigError: a benchmark has no rows.
    """
    work = [one for benchmark in config.benchmarks for one in _work(benchmark, data.get(benchmark.name, ()))]
    room = {one.name: asyncio.Semaphore(max(1, IN_FLIGHT // one.samples)) for one in config.benchmarks}
    done = 0

    async def answer(one: _Question) -> list[Graded]:
        nonlocal done
        async with room[one.benchmark.name]:
            completions = await engine.generate(_request(one, renderer, seed))
        graded = await _graded(one, completions, renderer, grade)
        done += 1
        if progress:
            progress(done, len(work))
        return graded

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer(one)) for one in work]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # the first failure cancelled the rest; its class tells what to do
    return [graded for task in tasks for graded in task.result()]


@dataclass(frozen=True, slots=True)
class _Question:
    benchmark: BenchmarkConfig
    mode: Mode
    prompt: Prompt


def _work(benchmark: BenchmarkConfig, rows: Sequence[Row]) -> Iterator[_Question]:
    if not rows:
        raise ConfigError(f"the benchmark {benchmark.name} has no rows to measure with")
    for mode in benchmark.modes:
        for row in rows:
            yield _Question(benchmark, mode, to_prompt(row, thinking=mode == "thinking"))


def _request(one: _Question, renderer: Renderer, seed: int) -> GenerationRequest:
    rendered = renderer.prompt(to_chat(one.prompt.messages), thinking=one.prompt.thinking)
    name, sampling = one.benchmark.name, one.benchmark.sampling
    return GenerationRequest(
        id=f"{name}/{one.mode}/{one.prompt.id}",
        token_ids=tuple(rendered.token_ids.tolist()),
        images=rendered.images,
        seeds=tuple(sample_seed(seed, name, one.prompt.id, one.mode, i) for i in range(one.benchmark.samples)),
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
    )


def sample_seed(seed: int, benchmark: str, prompt_id: str, mode: Mode, index: int) -> int:
    """The seed of one sample, below 2**31; it depends on nothing else."""
    key = f"{seed}\0{benchmark}\0{prompt_id}\0{mode}\0{index}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1


async def _graded(one: _Question, completions: Sequence[Completion], renderer: Renderer, grade: Grade) -> list[Graded]:
    prompt = one.prompt
    answers = [
        Answer(
            text=renderer.decode(completion.token_ids),
            reference=prompt.answer,
            task=prompt.task,
            thinking=prompt.thinking,
            prompt=prompt.text,
        )
        for completion in completions
    ]
    verdicts = await grade(answers)
    return [
        Graded(
            benchmark=one.benchmark.name,
            mode=one.mode,
            prompt_id=prompt.id,
            sample=sample,
            family=prompt.family,
            right=verdict.reward,
            well_formed=verdict.components.get("format") == 1,
            tokens=len(completion.token_ids),
            text=answer.text,
            reason=verdict.reason,
        )
        for sample, (answer, completion, verdict) in enumerate(zip(answers, completions, verdicts, strict=True))
    ]
