"""The SFT loop over a hand-written learner: order, resume, stopping, validation, bad rows."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.rl_stage import control

from configs.stages import SftStage
from halyard.cluster.types import LossFunction, TrainSequence, Update
from halyard.data.mixture import Mixture
from halyard.data.sources import Dataset
from halyard.data.types import Message, Row
from halyard.errors import DataError, Interrupted
from halyard.runs.orders import give
from halyard.runs.stage import StageFolder
from sft.loop import train
from sft.sequences import Conversations
from sft.session import SftSession


class Letters:
    """A renderer whose tokens are letters; a conversation ends with 0."""

    def __init__(self) -> None:
        self.rendered: list[str] = []

    def conversation(self, chat: Sequence[Any], *, thinking: bool) -> Any:
        self.rendered.append(chat[0].text)
        prompt = [ord(letter) for letter in chat[0].text] + [int(thinking)]
        answer = [ord(letter) for letter in (chat[1].reasoning or "") + chat[1].text] + [0]

        @dataclass
        class Rendered:
            token_ids: np.ndarray
            loss_mask: np.ndarray
            pixel_values: np.ndarray | None = None
            image_grids: np.ndarray | None = None

        return Rendered(
            np.array(prompt + answer, dtype=np.int64), np.array([False] * len(prompt) + [True] * len(answer))
        )


class Chain:
    """A learner whose whole state is the hash of everything that it was trained on, in order."""

    def __init__(self) -> None:
        self.state = "random weights"
        self.steps = 0
        self.peak = 0.0
        self.before_update = threading.Event()

    async def update(self, sequences: Sequence[TrainSequence], loss: LossFunction) -> Update:
        for one in sequences:
            self.state = hashlib.sha256(self.state.encode() + one.token_ids.tobytes()).hexdigest()
        await asyncio.sleep(0.001)
        self.steps += 1
        tokens = sum(len(one.token_ids) for one in sequences)
        return Update(
            version=self.steps,
            loss=1.0,
            grad_norm=1.0,
            learning_rate=self.peak,
            tokens=tokens,
            loss_tokens=sum(int(one.loss_mask.sum()) for one in sequences),
            sequences=len(sequences),
            packs=1,
            metrics={"nll": 1.0},
            seconds={"forward": 0.001},
        )

    async def set_learning_rate(self, peak: float) -> None:
        self.peak = peak

    async def evaluate(self, sequences: Sequence[TrainSequence], loss: LossFunction) -> Mapping[str, float]:
        return {"nll": float(sum(one.weights.sum() for one in sequences)), "confident": 0.5}

    async def save_checkpoint(self, path: Path) -> None:
        path.mkdir()
        (path / "state").write_text(json.dumps([self.state, self.steps]))

    async def load_checkpoint(self, path: Path) -> None:
        self.state, self.steps = json.loads((path / "state").read_text())


def row(name: str, answer: str = "yes", reasoning: str | None = None) -> Row:
    messages = (Message(role="user", text=name), Message(role="assistant", text=answer, reasoning=reasoning))
    return Row(id=name, messages=messages, source="a.jsonl:7")


ROWS = [row(name) for name in ("one", "two", "three", "four", "five", "six", "seven")]


def stage(**changes: Any) -> SftStage:
    fields = {"steps": 9, "sequences_per_step": 4, "checkpoint": {"every": 4}, "validate_every": 3, **changes}
    data = {"sources": [{"type": "synthetic"}], "on_bad_row": fields.pop("on_bad_row", "refuse")}
    return SftStage.model_validate({"name": "basic", "data": data, **fields})


def session(path: Path, learner: Chain, *, rows: Sequence[Row] = ROWS, **changes: Any) -> SftSession:
    fields: dict[str, Any] = {
        "learner": learner,
        "renderer": Letters(),
        "rows": Mixture(Dataset(sources=(tuple(rows),), weights=(1.0,)), seed=5),
        "validation": (),
        "folder": StageFolder(path),
        "window": 64,
        "progress": lambda step, total, figures: None,
        "event": lambda kind, **fields: None,
        "stop": asyncio.Event(),
        "control": control(path),
        **changes,
    }
    return SftSession(**fields)


async def test_a_stage_leaves_one_line_a_step(tmp_path: Path) -> None:
    one = session(tmp_path, Chain(), validation=ROWS[:2])
    await train(stage(), one)
    lines = one.folder.metrics()
    assert [line["step"] for line in lines] == list(range(1, 10))
    assert [line["step"] for line in lines if "validation_nll" in line] == [3, 6, 9]
    assert lines[2]["validation_nll"] == pytest.approx(1.0)  # the weights of the held-out tokens add up to 1
    assert [line["sequences"] for line in lines] == [4] * 9


@pytest.mark.parametrize("killed_after", [2, 4, 7])
async def test_a_resumed_stage_ends_with_the_same_state(tmp_path: Path, killed_after: int) -> None:
    whole = Chain()
    await train(stage(), session(tmp_path / "whole", whole))

    class Killed(Exception):
        pass

    def kill(step: int, total: int, figures: Mapping[str, float]) -> None:
        if step == killed_after:
            raise Killed

    with pytest.raises(Killed):
        await train(stage(), session(tmp_path / "killed", Chain(), progress=kill))
    again, learner = session(tmp_path / "killed", Chain()), Chain()
    again = session(tmp_path / "killed", learner)
    await train(stage(), again)
    assert learner.state == whole.state
    assert [line["step"] for line in again.folder.metrics()] == list(range(1, 10))


async def test_the_learning_rate_is_changed_between_two_steps(tmp_path: Path) -> None:
    def faster(step: int, total: int, figures: object) -> None:
        if step == 2:
            give(tmp_path, "set", who="ops", stage="basic", key="optimizer.learning_rate", value=3e-6)

    live = session(tmp_path, Chain(), progress=faster, control=control(tmp_path, stage(steps=4)))
    with live.control.run.lock():
        await train(stage(steps=4), live)
    assert [line["learning_rate"] for line in live.folder.metrics()] == [1e-6, 1e-6, 3e-6, 3e-6]


async def test_stopping_finishes_the_step_and_checkpoints_it(tmp_path: Path) -> None:
    whole, learner, stop = Chain(), Chain(), asyncio.Event()
    await train(stage(), session(tmp_path / "whole", whole))

    def interrupt(step: int, total: int, figures: Mapping[str, float]) -> None:
        if step == 2:
            stop.set()

    with pytest.raises(Interrupted, match=r"after step 2 of 9 .*--resume"):
        await train(stage(), session(tmp_path / "stopped", Chain(), progress=interrupt, stop=stop))
    again = session(tmp_path / "stopped", learner)
    found = again.folder.latest_checkpoint()
    assert found is not None
    assert found[0] == 2
    await train(stage(), again)
    assert learner.state == whole.state


async def test_a_finished_stage_has_nothing_left_to_do(tmp_path: Path) -> None:
    first, second = Chain(), Chain()
    await train(stage(), session(tmp_path, first))
    await train(stage(), session(tmp_path, second))
    assert second.state == first.state


async def test_a_row_that_is_too_long_is_refused_by_name(tmp_path: Path) -> None:
    rows = [*ROWS, row("long", "x" * 100)]
    with pytest.raises(DataError, match=r"row long \(a\.jsonl:7\) has 106 tokens, more than the 64"):
        await train(stage(), session(tmp_path, Chain(), rows=rows))


async def test_a_row_that_is_too_long_can_be_skipped_and_is_counted(tmp_path: Path) -> None:
    events: list[tuple[str, str]] = []
    one = session(
        tmp_path,
        Chain(),
        rows=[*ROWS, row("long", "x" * 100)],
        event=lambda kind, **fields: events.append((kind, fields.get("reason", ""))),
    )
    await train(stage(on_bad_row="skip"), one)
    lines = one.folder.metrics()
    assert [line["sequences"] for line in lines] == [4] * 9  # another row takes its place
    bad = [reason for kind, reason in events if kind == "bad_row"]
    assert len(bad) == sum(line["rows_skipped"] for line in lines) > 0
    assert all("row long" in reason for reason in bad)


async def test_nothing_but_bad_rows_comes_to_an_end(tmp_path: Path) -> None:
    rows = [row("long", "x" * 100)]
    with pytest.raises(DataError, match="40 rows of one step are bad"):
        await train(stage(on_bad_row="skip"), session(tmp_path, Chain(), rows=rows))


def test_a_row_is_rendered_once_while_there_is_room() -> None:
    letters = Letters()
    roomy = Conversations(letters, window=64)  # type: ignore[arg-type]
    first, again = roomy.render(ROWS[0]), roomy.render(ROWS[0])
    assert first is again
    full = Conversations(letters, window=64, cache_bytes=0)  # type: ignore[arg-type]
    assert full.render(ROWS[0]) is not full.render(ROWS[0])
    assert letters.rendered == ["one"] * 3


def test_the_mode_follows_the_row() -> None:
    conversations = Conversations(Letters(), window=64)  # type: ignore[arg-type]
    assert conversations.render(row("a")).token_ids[1] == 0
    assert conversations.render(row("b", reasoning="since")).token_ids[1] == 1
