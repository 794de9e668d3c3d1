"""Sources: every kind of file and layout becomes the same rows, and every bad row is named."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from configs.data import DataConfig
from halyard.data import synthetic
from halyard.data.images import open_image
from halyard.data.prompts import to_prompt
from halyard.data.rows import to_record, write_jsonl
from halyard.data.sources import Dataset, load
from halyard.errors import DataError

GOOD = {"id": "a", "prompt": "2 + 3?", "answer": "5"}


def red_png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, "PNG")
    return buffer.getvalue()


def no_stage(name: str) -> Path:
    raise AssertionError(f"no stage {name} here")


def read(root: Path, *sources: dict[str, Any], need: Any = "answer", **keys: Any) -> Dataset:
    config = DataConfig.model_validate({"sources": sources, **keys})
    return load(config, renderer=None, root=root, stage_rows=no_stage, need=need)


def write_lines(path: Path, *records: Any) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records) + "\n")
    return path


def reasons(root: Path, *records: Any, need: Any = "answer", layout: str = "native") -> list[tuple[int, str]]:
    write_lines(root / "bad.jsonl", GOOD | {"id": "good-one"}, *records)
    found = read(root, {"type": "jsonl", "path": "bad.jsonl", "layout": layout}, need=need, on_bad_row="skip")
    return [(bad.row, bad.reason) for bad in found.skipped]


def test_synthetic_rows_survive_the_native_schema(tmp_path: Path) -> None:
    config = DataConfig.model_validate({"sources": [{"type": "synthetic", "families": list(synthetic.FAMILIES)}]})
    rows = load(config, renderer=None, root=tmp_path, stage_rows=no_stage, need="assistant").rows
    write_jsonl(tmp_path / "rows.jsonl", rows)
    again = read(tmp_path, {"type": "jsonl", "path": "rows.jsonl"}, need="assistant").rows
    assert again == rows

    table = pyarrow.Table.from_pylist([to_record(row) for row in rows])
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    parquet = read(tmp_path, {"type": "parquet", "path": "rows.parquet"}).rows
    assert [row.messages[0].text for row in parquet] == [row.messages[0].text for row in rows]
    for mine, theirs in zip(parquet, rows, strict=True):
        for ref, other in zip(mine.messages[0].images, theirs.messages[0].images, strict=True):
            assert open_image(ref).tobytes() == open_image(other).tobytes()


def test_a_stage_reads_what_an_earlier_stage_wrote(tmp_path: Path) -> None:
    rows = synthetic.make(synthetic_source(rows=10))
    (tmp_path / "stages").mkdir()
    write_jsonl(tmp_path / "stages" / "rows.jsonl", rows)
    config = DataConfig.model_validate({"sources": [{"type": "stage", "stage": "filter"}]})
    found = load(config, renderer=None, root=tmp_path, stage_rows=lambda _: tmp_path / "stages" / "rows.jsonl")
    assert found.rows == rows
    with pytest.raises(DataError, match="the stage 'filter' has left no rows"):
        load(config, renderer=None, root=tmp_path, stage_rows=lambda _: tmp_path / "none.jsonl")


def synthetic_source(**keys: Any) -> Any:
    from configs.data import SyntheticSource

    return SyntheticSource(**keys)


@pytest.mark.parametrize("form", ["path", "uri", "object", "part", "url part"])
def test_images_as_paths_and_data_uris(form: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "red.png").write_bytes(red_png())
    uri = "data:image/png;base64," + base64.b64encode(red_png()).decode()
    content: Any = "what colour?"
    images: list[Any] = []
    if form == "part":
        content = [{"type": "image", "image": "red.png"}, {"type": "text", "text": "what colour?"}]
    elif form == "url part":
        content = [{"type": "text", "text": "what colour?"}, {"type": "image_url", "image_url": {"url": uri}}]
    else:
        images = [{"path": "red.png", "uri": uri, "object": {"path": "red.png", "bytes": None}}[form]]
    record = {"messages": [{"role": "user", "content": content}], "images": images, "answer": "red", "task": "exact"}
    write_lines(tmp_path / "data" / "rows.jsonl", record)
    (row,) = read(tmp_path, {"type": "jsonl", "path": "data/*.jsonl"}).rows
    assert row.messages[0].text == "what colour?"
    assert open_image(row.messages[0].images[0]).getpixel((0, 0)) == (255, 0, 0)
    assert row.id == row.source == "data/rows.jsonl:1"


def test_verl_columns_as_they_are(tmp_path: Path) -> None:
    record = {
        "data_source": "hiyouga/geometry3k",
        "prompt": [{"role": "user", "content": "<image>Find x."}],
        "images": [{"bytes": red_png(), "path": None}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": "3"},
        "extra_info": {"split": "train", "index": 7, "answer": "3"},
    }
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([record]), tmp_path / "train.parquet")
    (row,) = read(tmp_path, {"type": "parquet", "path": "train.parquet", "layout": "verl"}).rows
    assert (row.id, row.task, row.family, row.answer) == (
        "hiyouga/geometry3k-train-7",
        "math",
        "hiyouga/geometry3k",
        "3",
    )
    assert row.messages[0].text == "Find x."
    assert open_image(row.messages[0].images[0]).size == (4, 4)
    assert row.metadata["index"] == 7


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "2 + 3?", "solution": "5"},
        {"prompt": [{"role": "user", "content": "2 + 3?"}], "answer": 5, "solution": "2 and 3 make 5"},
        {"prompt": "2 + 3?", "completion": "it is 5", "answer": "5", "level": "easy"},
        {"messages": [{"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": "5"}], "answer": "5"},
    ],
)
def test_trl_columns_as_they_are(record: dict, tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", record)
    (row,) = read(tmp_path, {"type": "jsonl", "path": "rows.jsonl", "layout": "trl"}).rows
    assert (row.messages[0].text, row.answer) == ("2 + 3?", "5")
    assert [message.role for message in row.messages[1:]] in ([], ["assistant"])


def test_trl_images_go_to_the_user_or_where_the_parts_say(tmp_path: Path) -> None:
    parts = [{"type": "image", "text": None}, {"type": "text", "text": "what?"}]
    for i, record in enumerate(
        [
            {
                "prompt": [{"role": "user", "content": parts}],
                "image": {"bytes": red_png(), "path": None},
                "solution": "red",
            },
            {"prompt": [{"role": "user", "content": "what?"}], "images": [red_png()], "solution": "red"},
        ]
    ):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([record]), tmp_path / f"{i}.parquet")
    rows = read(tmp_path, {"type": "parquet", "path": "*.parquet", "layout": "trl"}).rows
    assert [(len(row.messages[0].images), row.messages[0].text) for row in rows] == [(1, "what?"), (1, "what?")]


def test_a_hugging_face_folder(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {"prompt": datasets.Value("string"), "image": datasets.Image(), "answer": datasets.Value("string")}
    )
    found = datasets.Dataset.from_list(
        [{"prompt": "colour?", "image": Image.new("RGB", (4, 4), "red"), "answer": "red"}], features=features
    )
    datasets.DatasetDict({"test": found}).save_to_disk(str(tmp_path / "saved"))
    found.save_to_disk(str(tmp_path / "plain"))
    for path in ("saved", "plain"):
        source = {"type": "huggingface", "path": path, "split": "test", "layout": "trl"}
        (row,) = read(tmp_path, source).rows
        assert open_image(row.messages[0].images[0]).getpixel((0, 0)) == (255, 0, 0)
    with pytest.raises(DataError, match="has no split 'train': it has test"):
        read(tmp_path, {"type": "huggingface", "path": "saved"})
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match="no data set that save_to_disk wrote"):
        read(tmp_path, {"type": "huggingface", "path": "other"})
    with pytest.raises(DataError, match="there is no data set folder"):
        read(tmp_path, {"type": "huggingface", "path": "./none"})


def test_thinking_written_into_the_text_is_told_apart(tmp_path: Path) -> None:
    answer = {"role": "assistant", "content": "<think>2 and 3</think>\\boxed{5}"}
    write_lines(tmp_path / "rows.jsonl", {"messages": [{"role": "user", "content": "2 + 3?"}, answer]})
    (row,) = read(tmp_path, {"type": "jsonl", "path": "rows.jsonl"}, need="assistant").rows
    assert (row.messages[1].reasoning, row.messages[1].text) == ("2 and 3", "\\boxed{5}")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("{broken", "the line is no JSON"),
        ("[1]", "expected an object"),
        ({"prompt": "2 + 3?"}, "the answer is missing"),
        ({"prompt": "2 + 3?", "answer": "  "}, "the answer is missing"),
        ({"prompt": "2 + 3?", "answer": ["5"]}, "expected text or a number"),
        ({"prompt": "2 + 3?", "answer": True}, "expected text or a number"),
        ({"prompt": "2 + 3?", "anwser": "5"}, "did you mean 'answer'"),
        ({"prompt": "2 + 3?", "answer": "5", "task": "maths"}, "unknown task 'maths'"),
        ({"prompt": "", "answer": "5"}, "the user's message is empty"),
        ({"messages": [], "answer": "5"}, "the conversation is empty"),
        ({"answer": "5"}, "the conversation is empty"),
        ({"prompt": 3, "answer": "5"}, "expected a list of messages or text"),
        ({"prompt": [{"role": "robot", "content": "?"}], "answer": "5"}, "role 'robot'"),
        ({"prompt": [{"role": "system", "content": "?"}], "answer": "5"}, "does not end with the user's question"),
        ({"prompt": [{"role": "user", "content": [{"type": "sound"}]}], "answer": "5"}, "expected type text"),
        ({"prompt": [{"role": "user", "content": None}], "answer": "5"}, "content is None"),
        ({"prompt": "?", "images": ["none.png"], "answer": "5"}, "there is no image file"),
        ({"prompt": "?", "images": ["bad.jsonl"], "answer": "5"}, "no image of a known format"),
        ({"prompt": "?", "images": ["https://x.org/a.png"], "answer": "5"}, "is on the web"),
        ({"prompt": "?", "images": [{"drawing": {"size": [1]}}], "answer": "5"}, "cannot be painted"),
        ({"prompt": "?", "images": [7], "answer": "5"}, "expected a path"),
        ({"prompt": "<image>?", "answer": "5"}, "1 times <image> in a message, but 0 images"),
        ({"id": "good-one", "prompt": "?", "answer": "5"}, "the id 'good-one' belongs to a row before it"),
        ({"id": [1], "prompt": "?", "answer": "5"}, "the id is [1]"),
        ({"prompt": "?", "messages": [], "answer": "5"}, "both messages and prompt"),
        ({"prompt": "?", "answer": "5", "metadata": 3}, "metadata is 3"),
    ],
)
def test_a_bad_row_is_named_with_its_reason(record: Any, reason: str, tmp_path: Path) -> None:
    ((row, found),) = reasons(tmp_path, record)
    assert row == 2
    assert reason in found


def test_sft_needs_the_assistants_turn_and_open_tasks_need_no_answer(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ""}]
    good = [turns[0], {"role": "assistant", "content": "5"}]
    write_lines(tmp_path / "sft.jsonl", {"messages": good}, {"prompt": "?", "answer": "5"}, {"messages": turns})
    found = read(tmp_path, {"type": "jsonl", "path": "sft.jsonl"}, need="assistant", on_bad_row="skip")
    assert [bad.row for bad in found.skipped] == [2, 3]
    assert all("the assistant's turn is missing" in bad.reason for bad in found.skipped)
    assert reasons(tmp_path, {"prompt": "?", "task": "open"}) == []


def test_a_run_is_refused_with_the_first_bad_rows_listed(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", GOOD, *[{"prompt": "?"}] * 7)
    with pytest.raises(DataError) as refusal:
        read(tmp_path, {"type": "jsonl", "path": "rows.jsonl"})
    text = str(refusal.value)
    assert text.startswith("7 of 8 rows are bad: rows.jsonl:2: the answer is missing")
    assert "rows.jsonl:6" in text
    assert "rows.jsonl:7" not in text
    assert "and 2 more" in text
    kept = read(tmp_path, {"type": "jsonl", "path": "rows.jsonl"}, on_bad_row="skip")
    assert ([row.id for row in kept.rows], len(kept.skipped)) == (["a"], 7)


def test_what_cannot_be_read_at_all_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "text.parquet").write_text("hello")
    write_lines(tmp_path / "none-good.jsonl", {"prompt": "?"})
    for source, sentence in [
        ({"type": "jsonl", "path": "none.jsonl"}, "there is no data file"),
        ({"type": "jsonl", "path": "*.json"}, "no file fits the pattern"),
        ({"type": "jsonl", "path": "."}, "is a folder"),
        ({"type": "jsonl", "path": "empty.jsonl"}, "the jsonl source empty.jsonl has no rows"),
        ({"type": "parquet", "path": "text.parquet"}, "cannot be read as Parquet"),
        ({"type": "jsonl", "path": "none-good.jsonl"}, "has no good row"),
    ]:
        with pytest.raises(DataError, match=sentence.replace(".", r"\.")):
            read(tmp_path, source, on_bad_row="skip")


def test_limit_takes_rows_from_the_front_and_ids_must_differ_between_sources(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", *[GOOD | {"id": i} for i in range(5)])
    source = {"type": "jsonl", "path": "rows.jsonl", "limit": 2}
    assert [row.id for row in read(tmp_path, source).rows] == ["0", "1"]
    with pytest.raises(DataError, match="the id '0' belongs to a row before it"):
        read(tmp_path, source, source)


def test_long_prompts_are_bad_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = SimpleNamespace(to_chat=lambda messages: messages)
    monkeypatch.setitem(__import__("sys").modules, "halyard.data.chat", chat)
    write_lines(tmp_path / "rows.jsonl", GOOD, GOOD | {"id": "b", "prompt": "one two three four?"})
    config = {"sources": [{"type": "jsonl", "path": "rows.jsonl"}], "max_prompt_tokens": 3, "on_bad_row": "skip"}
    renderer: Any = SimpleNamespace(prompt=lambda chat, thinking: SimpleNamespace(token_ids=chat[0].text.split()))
    found = load(DataConfig.model_validate(config), renderer=renderer, root=tmp_path, stage_rows=no_stage)
    assert [row.id for row in found.rows] == ["a"]
    assert "4 tokens, more than max_prompt_tokens = 3" in found.skipped[0].reason


def test_a_prompt_leaves_the_assistants_turn_off() -> None:
    (row,) = synthetic.make(synthetic_source(rows=1))
    prompt = to_prompt(row, thinking=False)
    assert prompt.messages == row.messages[:1]
    assert (prompt.id, prompt.answer, prompt.thinking) == (row.id, row.answer, False)
