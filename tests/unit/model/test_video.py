"""Frames and timestamps of videos, and how they stand in a prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from halyard.errors import DataError
from model.load import load_processor
from model.render import ChatMessage, Renderer
from model.video import Video, read_video, sample

COLOURS = ["red", "green", "blue", "yellow", "black", "white"]


def film(path: Path, count: int = 6, milliseconds: int = 500) -> Path:
    frames = [Image.new("RGB", (120, 80), COLOURS[number % 6]) for number in range(count)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0)
    return path


@given(st.integers(1, 2000), st.integers(1, 64))
def test_samples_are_even_and_within_budget(count: int, budget: int) -> None:
    chosen = sample(count, budget)
    assert len(chosen) == min(count, budget)
    assert chosen == sorted(set(chosen))
    assert 0 <= chosen[0] <= chosen[-1] < count
    gaps = np.diff([chosen[0] - count, *chosen, chosen[0] + count][1:-1])
    assert not len(gaps) or gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_an_animation_has_frames_and_seconds(tmp_path: Path, kind: str) -> None:
    video = read_video(film(tmp_path / f"film.{kind}"), budget=3)
    assert video.seconds == (0.5, 1.5, 2.5)
    found = [np.asarray(frame.convert("RGB"))[40, 60].tolist() for frame in video.frames]
    expected = [list(Image.new("RGB", (1, 1), COLOURS[n]).getpixel((0, 0))) for n in (1, 3, 5)]  # pyright: ignore
    assert np.abs(np.array(found) - np.array(expected)).max() < 12  # WebP is lossy


def test_a_film_has_frames_and_seconds(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 4.0, (64, 48))
    for number in range(8):
        writer.write(np.full((48, 64, 3), number * 30, np.uint8))
    writer.release()
    video = read_video(path, budget=2)
    assert video.seconds == (0.5, 1.5)
    assert [round(float(np.asarray(frame).mean()) / 30) for frame in video.frames] == [2, 6]


@pytest.mark.parametrize(("content", "problem"), [(None, "there is no video"), (b"no film", "is no video")])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "film.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=problem):
        read_video(path)


def test_frames_stand_in_the_prompt_with_their_seconds(variants: dict[str, Path]) -> None:
    """Each frame is one tile, while the image beside them is cut."""
    renderer = load_processor(variants["micro-tiles"])
    video = Video(tuple(Image.new("RGB", (200, 100), colour) for colour in COLOURS[:2]), (0.5, 12.25))
    chat = [ChatMessage("user", "what happens?", (Image.new("RGB", (112, 56)),), videos=(video,))]
    rendered = renderer.prompt(chat, thinking=False)
    text = renderer.tokenizer.decode(rendered.token_ids).replace("<IMG_CONTEXT>", "*")
    assert text == (
        f"<|im_start|>user\n<img>{'*' * 12}</img>Frame-1 (0.5s): <img>****</img>\nFrame-2 (12.2s): <img>****</img>\n"
        "what happens?/no_think<|im_end|><|im_start|>assistant\n"
    )
    assert rendered.pixel_values is not None
    assert rendered.pixel_values.shape == (5, 3, 56, 56)
    assert len(rendered.images) == 5


def test_an_answer_has_no_video(renderer: Renderer) -> None:
    with pytest.raises(DataError, match="a policy writes text alone"):
        renderer.conversation([ChatMessage("assistant", "a", videos=(Video((), ()),))], thinking=False)
