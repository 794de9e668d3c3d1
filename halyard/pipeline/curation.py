"""The stages that make data with the policy so far: each writes what it kept and dropped, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.rewards import RewardsConfig
from configs.stages import FilterStage, HardCasesStage, HarvestStage, RlStage
from halyard.cluster.types import GenerationRequest
from halyard.data import curate
from halyard.data.chat import to_chat
from halyard.data.prompts import to_prompt
from halyard.data.rows import write_jsonl
from halyard.durable import replaced
from halyard.errors import DataError
from halyard.evals.evaluate import Answer
from halyard.pipeline.lasting import LastingEngine
from halyard.runs.atomic import clear_errors, write_json
from rewards.scorer import Scorer
from rewards.structure import format_fault, split
from rl.prompts import draw

if TYPE_CHECKING:
    from halyard.cluster.types import Completion
    from halyard.data.curate import Candidate, Curation
    from halyard.data.types import Row
    from halyard.pipeline.walk import Walk
    from halyard.runs.rollouts import RolloutRecord
    from halyard.runs.stage import StageFolder
    from model.render import Renderer

_PROMPTS_AT_ONCE = 256


async def make_rows(
    stage: FilterStage | HarvestStage | HardCasesStage, folder: StageFolder, walk: Walk
) -> dict[str, Any]:
    """What a stage kept and dropped, by reason and family; its rows are in rows.jsonl, this in report.json.

    Raises:
        DataError: nothing was kept: there is nothing to go on with.
    """
    if isinstance(stage, FilterStage):
        rows, report = await _filter(stage, walk)
    elif isinstance(stage, HarvestStage):
        rows, report = await _harvest(stage, walk)
    else:
        rows, report = await _hard_cases(stage, walk)
    record = {"kept": report.kept, "dropped": report.dropped, "outcomes": report.to_record()}
    _write_rows(folder.path / "rows.jsonl", rows)
    write_json(folder.path / "report.json", record)
    if not rows:
        reasons = ", ".join(f"{outcome} {by['all']}" for outcome, by in report.to_record().items())
        raise DataError(f"the stage {stage.name} kept no row, so that there is nothing to go on with: {reasons}")
    return record


async def _filter(stage: FilterStage, walk: Walk) -> tuple[list[Row], Curation]:
    rows = (await walk.rows(stage.data, "answer")).rows
    passes = await _ask(rows, stage, walk, thinking=stage.thinking)
    keep = curate.keep_sometimes if stage.keep == "sometimes" else curate.keep_not_always
    return keep(rows, passes)


async def _hard_cases(stage: HardCasesStage, walk: Walk) -> tuple[list[Row], Curation]:
    rows = (await walk.rows(stage.data, "answer")).rows
    general = (await walk.rows(stage.general, "answer")).rows
    passes = await _ask(rows, stage, walk, thinking=True)
    return curate.hard_cases(
        rows, passes, general, max_pass_rate=stage.max_pass_rate, keep_never_solved=stage.keep_never_solved
    )


async def _harvest(stage: HarvestStage, walk: Walk) -> tuple[list[Row], Curation]:
    source = next(one for one in walk.recipe.stages if one.name == stage.stage)
    assert isinstance(source, RlStage), "a harvest names an RL stage, which the recipe's checks see to"
    asked = {row.id: row for row in (await walk.rows(source.data, "answer")).rows}
    direct = (await walk.rows(stage.direct, "assistant")).rows
    first = source.steps * (1 - stage.last_steps)
    records = (one for one in walk.folder(source.name).read_rollouts() if one.step > first)
    return await asyncio.to_thread(
        curate.harvest,
        _candidates(records, asked),
        direct,
        rows=stage.rows,
        thinking_share=stage.thinking_share,
        seed=walk.seed(stage.name),
    )


def _candidates(records: Iterator[RolloutRecord], asked: dict[str, Row]) -> Iterator[Candidate]:
    """The rollouts of thinking prompts as candidates, whether they were trained on or not."""
    for record in records:
        if not record.thinking or record.reward is None:
            continue
        response = split(record.text, thinking=True)
        prompt = to_prompt(asked[record.prompt_id], thinking=True)
        yield curate.Candidate(
            prompt=prompt,
            reasoning=response.reasoning or "",
            text=response.answer,
            right=record.components.get("answer", record.reward) == 1,
            well_formed=not format_fault(response, prompt.task) and record.finish_reason == "stop",
        )


async def _ask(
    rows: Sequence[Row], stage: FilterStage | HardCasesStage, walk: Walk, *, thinking: bool
) -> dict[str, list[bool]]:
    """Whether each judged sample of each row is right, by the row's id; pass@k with the newest policy."""
    event = walk.event(stage.name)
    engine = await LastingEngine.start(walk.cluster, walk.models["policy"], event)
    scorer = await Scorer.start(RewardsConfig(), root=walk.loaded.root)
    questions = Questions(stage, walk.renderer(), thinking=thinking, seed=walk.seed(stage.name))
    window = walk.recipe.cluster.engine.max_model_len
    passes: dict[str, list[bool]] = {}
    room = asyncio.Semaphore(_PROMPTS_AT_ONCE)

    async def ask(row: Row) -> None:
        async with room:
            request = questions.request(row)
            if len(request.token_ids) + request.max_tokens > window:
                event("bad_row", reason=f"{row.id}: prompt and response exceed the engine's window of {window} tokens")
                return
            verdicts = await scorer.grade(questions.answers(row, await engine.generate(request)))
        passes[row.id] = [verdict.reward == 1 for verdict in verdicts if verdict.reward is not None]
        walk.screen.progress(len(passes), len(rows), {"solved": _solved(passes)})

    try:
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(ask(row), name=f"{stage.name} {row.id}")
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        await scorer.close()
    return passes


class Questions:
    """Rows as requests, and what came back as answers to be graded."""

    def __init__(self, stage: FilterStage | HardCasesStage, renderer: Renderer, *, thinking: bool, seed: int) -> None:
        self._stage = stage
        self._renderer = renderer
        self._thinking = thinking
        self._seed = seed

    def request(self, row: Row) -> GenerationRequest:
        """What the engine is asked: the row's question, as many times as the stage has samples."""
        prompt = to_prompt(row, thinking=self._thinking)
        rendered = self._renderer.prompt(to_chat(prompt.messages), thinking=self._thinking)
        return GenerationRequest(
            id=row.id,
            token_ids=tuple(rendered.token_ids.tolist()),
            images=tuple(rendered.images),
            seeds=tuple(draw(self._seed, row.id, index) for index in range(self._stage.samples)),
            max_tokens=self._stage.sampling.max_tokens,
            temperature=self._stage.sampling.temperature,
            top_p=self._stage.sampling.top_p,
        )

    def answers(self, row: Row, completions: Sequence[Completion]) -> list[Answer]:
        """The completions as text, with what they are compared to."""
        prompt = to_prompt(row, thinking=self._thinking)
        return [
            Answer(
                text=self._renderer.decode(one.token_ids),
                reference=prompt.answer,
                task=prompt.task,
                thinking=prompt.thinking,
                prompt=prompt.text,
            )
            for one in completions
        ]


def _solved(passes: dict[str, list[bool]]) -> float:
    judged = [right for samples in passes.values() for right in samples]
    return sum(judged) / len(judged) if judged else 0.0


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    with clear_errors(path), replaced(path) as temporary:
        write_jsonl(temporary, rows)
