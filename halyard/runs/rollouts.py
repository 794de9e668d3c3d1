"""Every rollout with its verdict, used or not, as one flat Parquet file a step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from halyard.data.types import ImageRef, Prompt, Rollout, Verdict
from halyard.durable import replaced
from halyard.runs import pictures
from halyard.runs.atomic import clear_errors

RolloutState = Literal["trained", "dropped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRecord:
    """One answer as it is kept: a row of `rollouts/STEP.parquet`, one column for each field.

    `step` is the step that it was trained or let go in; `version_oldest` and `version_newest` the policy
    versions that its first and last token were sampled under. `reward` is None when judging failed, and
    `advantage` when it was not trained on; `why` then says why. `components` and the prompt's `metadata` and `images`
    are JSON in the file; files of earlier versions have no metadata and no images.
    """

    step: int
    occurrence: int
    prompt_id: str
    index: int
    thinking: bool
    question: str
    reference: str | None
    task: str
    family: str
    prompt_token_ids: Sequence[int]
    response_token_ids: Sequence[int]
    rollout_logprobs: Sequence[float]
    text: str
    finish_reason: str
    seed: int
    version_oldest: int
    version_newest: int
    reward: float | None
    components: Mapping[str, float]
    status: str
    reason: str
    state: RolloutState
    why: str
    advantage: float | None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    images: Sequence[ImageRef] = ()


_AS_JSON = ("components", "metadata")
_SCHEMA = pa.schema(
    {
        "step": pa.int64(),
        "occurrence": pa.int64(),
        "prompt_id": pa.string(),
        "index": pa.int32(),
        "thinking": pa.bool_(),
        "question": pa.string(),
        "reference": pa.string(),
        "task": pa.string(),
        "family": pa.string(),
        "prompt_token_ids": pa.list_(pa.int32()),
        "response_token_ids": pa.list_(pa.int32()),
        "rollout_logprobs": pa.list_(pa.float32()),
        "text": pa.string(),
        "finish_reason": pa.string(),
        "seed": pa.int64(),
        "version_oldest": pa.int64(),
        "version_newest": pa.int64(),
        "reward": pa.float64(),
        "components": pa.string(),
        "status": pa.string(),
        "reason": pa.string(),
        "state": pa.string(),
        "why": pa.string(),
        "advantage": pa.float64(),
        "metadata": pa.string(),
        "images": pa.string(),
    }
)


def record(
    prompt: Prompt,
    rollout: Rollout,
    verdict: Verdict,
    *,
    step: int,
    occurrence: int,
    state: RolloutState,
    why: str = "",
    advantage: float | None = None,
) -> RolloutRecord:
    """The record of one rollout: what was asked, answered, judged, and what became of it."""
    return RolloutRecord(
        step=step,
        occurrence=occurrence,
        prompt_id=prompt.id,
        index=rollout.index,
        thinking=prompt.thinking,
        question=prompt.text,
        reference=prompt.answer,
        task=prompt.task,
        family=prompt.family,
        prompt_token_ids=rollout.prompt_token_ids,
        response_token_ids=rollout.response_token_ids,
        rollout_logprobs=rollout.rollout_logprobs,
        text=rollout.text,
        finish_reason=rollout.finish_reason,
        seed=rollout.seed,
        version_oldest=rollout.oldest_version,
        version_newest=rollout.newest_version,
        reward=verdict.reward,
        components=verdict.components,
        status=verdict.status,
        reason=verdict.reason,
        state=state,
        why=why,
        advantage=advantage,
        metadata=prompt.metadata,
        images=prompt.images,
    )


def write(path: Path, records: Iterable[RolloutRecord]) -> None:
    """Nothing; the file is durable, and replaces one of the same name.

    Raises:
        HalyardError: the disk is full.
    """
    with clear_errors(path):
        path.parent.mkdir(exist_ok=True)
        table = pa.table(_columns(list(records), path.parent.parent), schema=_SCHEMA)
        with replaced(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")


def files(stage: Path) -> list[Path]:
    """The files of rollouts in a stage's folder, step after step."""
    return sorted((stage / "rollouts").glob("[0-9]*.parquet"))


def read(path: Path) -> list[RolloutRecord]:
    """The records of one file, in order."""
    rows: list[dict[str, Any]] = pq.read_table(path, schema=_SCHEMA).to_pylist()
    return [from_row(row, path.parent.parent) for row in rows]


def from_row(row: Mapping[str, Any], stage: Path) -> RolloutRecord:
    """The record of a row of a file in a stage's folder."""
    decoded = {name: json.loads(row[name] or "{}") for name in _AS_JSON}
    return RolloutRecord(**{**row, **decoded, "images": pictures.found(row["images"], stage)})


def _columns(records: Sequence[RolloutRecord], stage: Path) -> dict[str, list[Any]]:
    """The records' values by name; the answers to a prompt share its images, which are filed and described once."""
    columns = {one.name: [getattr(each, one.name) for each in records] for one in fields(RolloutRecord)}
    for name in _AS_JSON:
        columns[name] = [_json(value) for value in columns[name]]
    shared = {tuple(map(id, images)): images for images in columns["images"]}
    described = {key: pictures.keep(images, stage) for key, images in shared.items()}
    columns["images"] = [described[tuple(map(id, images))] for images in columns["images"]]
    return columns


def _json(values: Mapping[str, Any]) -> str:
    """JSON of what may hold dates and the like, which become text."""
    return json.dumps(dict(values), ensure_ascii=False, default=str)
