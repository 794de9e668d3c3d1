"""Talking to a policy: what is said, what is remembered, and that the cache changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.tiny_families import FAMILIES
from typer.testing import CliRunner

from halyard.cli.chat import Conversation
from halyard.cli.main import app
from halyard.cli.speaker import Speaker
from model.build import build
from model.hidden import hidden_states
from model.render import ChatMessage


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy") / "nano"
    build("nano", folder, seed=0)
    return folder


def test_the_answer_is_what_the_policy_gives_without_a_cache(nano: Path) -> None:
    speaker = Speaker.load(nano, max_tokens=12, temperature=0.0, seed=0)
    picture = Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3))
    prompt = speaker.renderer.prompt([ChatMessage("user", "How many?", images=(picture,))], thinking=True)
    ids = list(prompt.token_ids)
    expected: list[int] = []
    with torch.inference_mode():
        for _ in range(12):
            pixels = torch.as_tensor(prompt.pixel_values)
            token = int(speaker.policy(torch.tensor([ids]), pixel_values=pixels).logits[0, -1].argmax())
            if token == speaker.renderer.eos_token_id:
                break
            ids.append(token)
            expected.append(token)
    assert list(speaker.tokens(prompt)) == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_other_families_answer_what_the_learner_gives_without_a_cache(family: str, tmp_path: Path) -> None:
    speaker = Speaker.load(FAMILIES[family](tmp_path), max_tokens=4, temperature=0.0, seed=0)
    pictures = tuple(
        Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 50).convert("RGB") for size in ((150, 100), (90, 90))
    )
    prompt = speaker.renderer.prompt([ChatMessage("user", "Which?", images=pictures)], thinking=False)
    seen = [None if value is None else torch.from_numpy(value) for value in (prompt.pixel_values, prompt.image_grids)]
    head: Any = speaker.policy.get_output_embeddings()
    expected, ids = [], torch.from_numpy(prompt.token_ids)[None]
    with torch.no_grad():
        for _ in range(4):
            states = hidden_states(speaker.policy, ids, torch.arange(ids.shape[1])[None], *seen).states
            expected.append(int(head(states[-1:]).argmax()))
            ids = torch.cat([ids, torch.tensor([expected[-1:]])], dim=1)
    assert list(speaker.tokens(prompt)) == expected


def test_pieces_join_to_the_decoded_answer_and_seeds_repeat(nano: Path) -> None:
    said = []
    for seed in (3, 3, 4):
        speaker = Speaker.load(nano, max_tokens=16, temperature=1.0, seed=seed)
        said.append("".join(speaker.answer([ChatMessage("user", "2 + 3?")], thinking=False)))
    assert said[0] == said[1] != said[2]


class Parrot:
    """A speaker that says the same whatever it hears, in the pieces given."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces
        self.heard: list[tuple[list[ChatMessage], bool]] = []

    def answer(self, turns: Sequence[ChatMessage], *, thinking: bool) -> Iterator[str]:
        self.heard.append((list(turns), thinking))
        yield from self.pieces


def test_turns_modes_and_images_are_remembered(tmp_path: Path, capsys: Any) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    parrot = Parrot("<think>", "2 and 3", "</think>", "5")
    talk = Conversation(parrot, think=True)  # type: ignore[arg-type]
    for line in (
        f"/image {tmp_path / 'x.png'}",
        "2 + 3?",
        "/no-think",
        "and 1?",
        "/image nowhere.png",
        "/video nowhere.gif",
        "/new",
        f"/video {tmp_path / 'x.png'}",
        "hello",
    ):
        talk.hear(line)
    first, second, third = parrot.heard
    assert (len(first[0][0].images), first[1]) == (1, True)
    assert [(turn.role, turn.text, turn.reasoning) for turn in second[0][:2]] == [
        ("user", "2 + 3?", None),
        ("assistant", "5", "2 and 3"),
    ]
    assert (len(second[0]), second[0][2].images, second[1]) == (3, (), False)
    assert len(third[0]) == 1
    out = capsys.readouterr().out
    assert "<think>2 and 3</think>5" in out
    assert "nowhere.png" in out
    assert "there is no video nowhere.gif" in out
    assert [len(video.frames) for video in third[0][0].videos] == [1]


def test_the_command_answers_once(nano: Path) -> None:
    result = CliRunner().invoke(app, ["chat", str(nano), "What is 3 + 4?", "--max-tokens", "4", "--no-think"])
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("\n")


def test_the_command_talks_until_the_input_ends(nano: Path) -> None:
    result = CliRunner().invoke(app, ["chat", str(nano), "--max-tokens", "4"], input="2 + 3?\n/help\n")
    assert result.exit_code == 0, result.output
    assert "/image FILE, /video FILE" in result.stdout


@pytest.mark.parametrize("what", ["nowhere", "empty"])
def test_what_is_no_policy_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(app, ["chat", str(tmp_path / what), "hello"])
    assert result.exit_code == 2
    assert "there is no snapshot at" in result.stderr


def test_an_image_that_is_none_is_refused(nano: Path, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_text("no cat")
    result = CliRunner().invoke(app, ["chat", str(nano), "hello", "--image", str(tmp_path / "cat.png")])
    assert result.exit_code == 2
    assert "cat.png" in result.stderr
