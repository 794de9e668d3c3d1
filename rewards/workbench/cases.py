r"""Labelled cases, one JSON object a line: a response (or the answer alone), the reference, and what it should earn.

{"prompt": "What is 1/4 + 1/4?", "answer": "0.5", "reference": "1/2", "expected": true, "kind": "fractions"}
{"response": "<think>so 3</think>\\boxed{3}", "reference": "4", "expected": false, "note": "off by one"}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from configs.faults import EXPECTED, literal, nearest
from halyard.data.conversation import Unfit, parse_image
from halyard.data.types import ImageRef
from halyard.errors import ConfigError, DataError
from halyard.tasks import TASKS, Task
from rewards.sample import Sample
from rewards.structure import BOXED_TASKS, CLOSE, OPEN, boxes, split

Expected = bool | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A sample with its label.

    `expected` is True or False (it is paid, it is not), a number (exactly this reward), or None where nobody has
    said. `kind` groups cases in reports; `name` is where the case comes from.
    """

    name: str
    sample: Sample
    expected: Expected = None
    kind: str = ""
    note: str = ""


class _Line(BaseModel):
    """One line of a file of cases."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = ""
    prompt: str = ""
    response: str | None = None
    answer: str | None = None
    reference: str | int | float | None = None
    task: Task = "math"
    family: str = ""
    thinking: bool | None = None
    finish_reason: Literal["stop", "length"] = "stop"
    response_tokens: int | None = None
    group: str = ""
    images: list[Any] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)
    expected: bool | Annotated[float, Field(allow_inf_nan=False)] | None = None
    kind: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _one_of_two(self) -> _Line:
        if (self.response is None) == (self.answer is None):
            raise ValueError("it needs either response (a whole text) or answer (the final answer alone)")
        return self


def read(path: Path) -> list[Case]:
    """The cases of a JSONL file; blank lines are skipped.

    Raises:
        DataError: the file is not there, is empty, or a line is wrong; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise DataError(f"{path}: {reason}; expected a JSONL file of cases") from error
    found = [_case(text, path, number) for number, text in enumerate(lines, start=1) if text.strip()]
    if not found:
        raise DataError(f"{path}: the file is empty, expected one JSON object a line with response and reference")
    return found


def single(*, answer: str | None, response: str | None, reference: str | None, task: str, prompt: str) -> Case:
    """One case from a command line.

    Raises:
        ConfigError: there is neither an answer nor a response, or there are both, or the task is unknown.
    """
    if (answer is None) == (response is None):
        raise ConfigError("expected cases in --file, or one by --answer or --response (and --reference)")
    if task not in TASKS:
        raise ConfigError(f"the task is {task}, expected {', '.join(TASKS)}{nearest(task, TASKS)}")
    text = response if response is not None else commit(answer or "", task)
    return Case(name="case", sample=sample(text, reference=reference, task=task, prompt=prompt))


def _case(text: str, path: Path, number: int) -> Case:
    where = f"{path}:{number}"
    try:
        line = _Line.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: this line is not JSON: {error.msg} at column {error.colno}") from error
    except ValidationError as error:
        raise DataError(f"{where}: {_complaint(error)}") from error
    return Case(
        name=line.id or f"line {number}",
        sample=_sample(line, where, path.parent),
        expected=line.expected,
        kind=line.kind,
        note=line.note,
    )


def _complaint(error: ValidationError) -> str:
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        known = list(_Line.model_fields)
        return f"unknown key {key}{nearest(key, known) or '; known are ' + ', '.join(known)}"
    if first["type"] == "value_error":
        return first["msg"].removeprefix("Value error, ")
    if not key:
        return f"it is {literal(first['input'])}, expected an object with response and reference"
    if key == "expected":
        return f"expected is {literal(first['input'])}, which is neither true, false nor a number"
    wanted = EXPECTED.get(first["type"], first["msg"]).format(**first.get("ctx", {}))
    return f"{key} is {literal(first['input'])}, expected {wanted}"


def _sample(line: _Line, where: str, folder: Path) -> Sample:
    try:
        images = [parse_image(image, folder) for image in line.images]
    except Unfit as error:
        raise DataError(f"{where}: {error}") from error
    text = line.response if line.response is not None else commit(line.answer or "", line.task)
    return sample(
        text,
        prompt=line.prompt,
        reference=None if line.reference is None else str(line.reference),
        task=line.task,
        family=line.family,
        thinking=line.thinking,
        finish_reason=line.finish_reason,
        response_tokens=line.response_tokens,
        images=images,
        group=line.group or where,
        metadata=line.metadata,
    )


def commit(answer: str, task: Task) -> str:
    r"""An answer as a direct response gives it: in a box for the tasks that want one, unless it has one.

    >>> commit("1/2", "math")
    '\\boxed{1/2}'
    """
    return answer if task not in BOXED_TASKS or boxes(answer) else f"\\boxed{{{answer}}}"


def sample(
    response: str,
    *,
    reference: str | None = None,
    task: Task = "math",
    prompt: str = "",
    family: str = "",
    thinking: bool | None = None,
    finish_reason: Literal["stop", "length"] = "stop",
    response_tokens: int | None = None,
    images: Sequence[ImageRef] = (),
    group: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> Sample:
    """What a reward sees of a response. The mode, if it is not said, is thinking where the response has think tags.

    Without a count of tokens, words are counted.
    """
    thinks = (OPEN in response or CLOSE in response) if thinking is None else thinking
    parts = split(response, thinks)
    return Sample(
        prompt=prompt,
        response=response,
        reasoning=parts.reasoning,
        answer=parts.answer,
        reference=reference,
        task=task,
        family=family,
        thinking=thinks,
        finish_reason=finish_reason,
        response_tokens=len(response.split()) if response_tokens is None else response_tokens,
        images=tuple(images),
        group_id=group,
        metadata=metadata or {},
    )
