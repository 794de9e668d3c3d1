"""The columns of other projects' prompt data sets, mapped to the native schema.

A mapping takes a record and gives a native record; columns that have no place go into `metadata`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from halyard.data.references import Unfit

Record = Mapping[str, Any]


def native(record: Record) -> Record:
    """The record itself; columns that hold nothing are left out."""
    return {key: value for key, value in record.items() if value is not None}


def verl(record: Record) -> Record:
    """The RL data of verl: `data_source, prompt, ability, reward_model, extra_info, images, videos`.

    The answer is `reward_model.ground_truth`, `ability` the task and `data_source` the family. Source: verl,
    docs/preparation/prepare_data.rst.

    Raises:
        Unfit: `reward_model` is there, but no object.
    """
    rest = dict(record)
    source, extra = rest.pop("data_source", None) or "", rest.pop("extra_info", None) or {}
    reward = rest.pop("reward_model", None) or {}
    if not isinstance(reward, Mapping) or not isinstance(extra, Mapping):
        raise Unfit("reward_model and extra_info must be objects")
    index = extra.get("index")
    return {
        "id": None if index is None else f"{source}-{extra.get('split', 'train')}-{index}",
        "messages": rest.pop("prompt", None),
        "images": rest.pop("images", None),
        "videos": rest.pop("videos", None),
        "answer": reward.get("ground_truth"),
        "task": rest.pop("ability", None),
        "family": source,
        "metadata": _present({**rest, **extra}),
    }


def trl(record: Record) -> Record:
    """The data of TRL: `prompt` with `answer` or `solution`, `completion` or `messages`, and `image` or `images`.

    Texts and conversations both serve. Source: TRL, docs/source/dataset_formats.md.
    """
    rest = dict(record)
    answer, solution = rest.pop("answer", None), rest.pop("solution", None)
    image, images = rest.pop("image", None), rest.pop("images", None)
    messages, prompt, completion = rest.pop("messages", None), rest.pop("prompt", None), rest.pop("completion", None)
    if messages is None:
        messages = _turns(prompt, "user") + _turns(completion, "assistant")
    return {
        "id": rest.pop("id", None),
        "messages": messages,
        "images": image if images is None else images,
        "videos": rest.pop("videos", None),
        "answer": solution if answer is None else answer,
        "task": rest.pop("task", None),
        "family": rest.pop("family", None),
        "metadata": _present(rest),
    }


def _turns(value: Any, role: str) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if isinstance(value, list):
        return value
    raise Unfit(f"the {role}'s turn is {str(value)[:60]!r}, expected text or a list of messages")


def _present(columns: Record) -> dict[str, Any]:
    return {key: value for key, value in columns.items() if value is not None}


LAYOUTS: Mapping[str, Callable[[Record], Record]] = {"native": native, "verl": verl, "trl": trl}
