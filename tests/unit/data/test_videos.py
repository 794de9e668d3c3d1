"""Videos of data rows: how they are written down, what is refused, and what a policy sees of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from configs.data import DataConfig
from halyard.data.chat import to_chat
from halyard.data.prompts import to_prompt
from halyard.data.rows import write_jsonl
from halyard.data.sources import load
from halyard.data.types import Row
from halyard.data.videos import open_video
from halyard.errors import DataError
from model.build import build
from model.load import load_processor
from sft.sequences import Conversations, to_sequences

GREYS = [30 * number for number in range(8)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight frames, ever lighter: in a folder, as clip.gif at two a second, and one alone."""
    frames = [Image.new("RGB", (40, 30), (grey, grey, grey)) for grey in GREYS]
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(frames):
        frame.save(tmp_path / "frames" / f"{number + 5}.png")  # 10.png comes after 9.png
    frames[0].save(tmp_path / "clip.gif", save_all=True, append_images=frames[1:], duration=500)
    frames[0].save(tmp_path / "one.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.gif").write_text("no video")
    return tmp_path


def read(folder: Path, *records: dict[str, Any], frames: int = 4, **keys: Any) -> list[Row]:
    lines = [json.dumps({"id": str(n), "answer": "5", **one}) + "\n" for n, one in enumerate(records)]
    (folder / "rows.jsonl").write_text("".join(lines))
    source = {"type": "jsonl", "path": "rows.jsonl", **keys}
    config = DataConfig.model_validate({"sources": [source], "video_frames": frames})
    return load(config, renderer=None, root=folder, stage_rows=lambda _: folder).rows


def asked(video: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "What happens?", "videos": [video]}]}


FORMS = [
    "clip.gif",
    {"path": "clip.gif"},
    {"path": "frames", "fps": 2},
    {"frames": [f"frames/{number}.png" for number in range(5, 13)], "fps": 2},
    {"frames": [f"frames/{number}.png" for number in range(5, 13)], "seconds": [n / 2 for n in range(8)]},
]


@pytest.mark.parametrize("video", FORMS, ids=str)
def test_every_form_has_the_frames_that_the_recipe_allows(folder: Path, video: Any) -> None:
    """Of eight, four: the middle ones of four equal parts, which are the second, fourth, sixth and eighth."""
    (row,) = read(folder, asked(video))
    opened = open_video(row.messages[0].videos[0])
    assert opened.seconds == (0.5, 1.5, 2.5, 3.5)
    found = [round(float(np.asarray(frame.convert("L")).mean())) for frame in opened.frames]
    assert found == pytest.approx(GREYS[1::2], abs=2)


@pytest.mark.parametrize("video", FORMS, ids=str)
def test_rows_survive_being_written(folder: Path, video: Any) -> None:
    rows = read(folder, asked(video))
    write_jsonl(folder / "again.jsonl", rows)
    source = {"type": "jsonl", "path": "again.jsonl"}
    config = DataConfig.model_validate({"sources": [source], "video_frames": 4})
    assert load(config, renderer=None, root=folder, stage_rows=lambda _: folder).rows == rows


PLACES = [
    {
        "messages": [
            {"role": "user", "content": [{"type": "video", "video": "clip.gif"}, {"type": "text", "text": "?"}]}
        ]
    },
    {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "clip.gif"}}]}]},
    {"prompt": "What?", "videos": "clip.gif"},
    {"prompt": "<video>\nWhat?", "videos": ["clip.gif"]},
]


@pytest.mark.parametrize("record", PLACES)
def test_a_video_is_found_wherever_data_sets_have_it(folder: Path, record: dict[str, Any]) -> None:
    (row,) = read(folder, record)
    assert [video.path for video in row.messages[0].videos] == [str(folder / "clip.gif")]
    assert "<video>" not in row.messages[0].text


def test_videos_in_the_layout_of_verl(folder: Path) -> None:
    record = {"prompt": [{"role": "user", "content": "<video>What?"}], "videos": [{"path": "clip.gif"}]}
    (row,) = read(folder, {**record, "reward_model": {"ground_truth": "5"}}, layout="verl")
    assert [video.path for video in row.messages[0].videos] == [str(folder / "clip.gif")]
    assert row.messages[0].text == "What?"


BAD = [
    ("gone.gif", "there is no video {folder}/gone.gif"),
    ("notes.gif", "{folder}/notes.gif is no video that can be read"),
    ("frames", "the video {folder}/frames is a folder of frames: say how many make a second"),
    ({"path": "empty", "fps": 1}, "the folder {folder}/empty holds no frames"),
    ({"path": "clip.gif", "fps": 1}, "says itself when its frames are shown: leave fps out"),
    ({"frames": ["one.png"]}, "has fps, or seconds for each frame: give one of the two"),
    ({"frames": ["one.png"], "seconds": [0, 1]}, "a video has 1 frames, but 2 seconds"),
    ({"frames": ["one.png", "one.png"], "seconds": [1, 0]}, "expected numbers that ascend"),
    ({"frames": ["gone.png"], "fps": 1}, "there is no image file {folder}/gone.png"),
    ({"frames": [], "fps": 1}, "expected a list of images"),
    ({"path": "clip.gif", "seconds": [0]}, "a video by its path has seconds"),
    ({"path": "clip.gif", "rate": 1}, "a video has the key 'rate'"),
    ({"path": "clip.gif", "fps": -1}, "the fps of a video is -1, expected a number above 0"),
    ("https://example.org/clip.mp4", "is no file: save it, and give its path"),
    (5, "a video is '5', expected a path"),
]


@pytest.mark.parametrize(("video", "reason"), BAD)
def test_what_is_no_video_is_named_with_file_and_row(folder: Path, video: Any, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        read(folder, asked("clip.gif"), asked(video))
    assert "1 of 2 rows are bad: rows.jsonl:2: " in str(caught.value)
    assert reason.format(folder=folder) in str(caught.value)


def test_supervised_training_learns_the_answer_to_a_video(folder: Path) -> None:
    """Four frames of 16 visual tokens each stand before the question; what is learnt is the assistant's alone."""
    build("nano", folder / "policy", seed=0)
    renderer = load_processor(folder / "policy")
    turns = asked("clip.gif")["messages"]
    (row,) = read(folder, {"messages": [*turns, {"role": "assistant", "content": "lighter", "reasoning": "so"}]})
    (sequence,) = to_sequences([Conversations(renderer, window=512).render(row)])
    ids, learnt = sequence.token_ids, sequence.loss_mask
    assert (ids == renderer.image_token_id).sum() == 4 * 16
    assert sequence.pixel_values is not None
    assert len(sequence.pixel_values) == 4
    assert not (learnt & (ids == renderer.image_token_id)).any()
    assert renderer.decode(ids[learnt]).replace("\n", "").startswith("<think>so</think>lighter")
    assert "Frame-1 (0.5s): " in renderer.decode(ids[~learnt])
    prompt = renderer.prompt(to_chat(to_prompt(row, thinking=True).messages), thinking=True)
    assert ids[: len(prompt.token_ids)].tolist() == prompt.token_ids.tolist()  # as an engine would be asked
