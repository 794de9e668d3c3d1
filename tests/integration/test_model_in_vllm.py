"""vLLM runs our policies on the very ids it is given, and its log-probabilities are the learner's."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.tiny_models import save_dense, save_moe

from configs.model import TinySize
from model.build import build
from model.load import load_policy, load_processor
from model.render import ChatMessage

ROOT = Path(__file__).parents[2]
SEED = np.random.default_rng(0)
NOISE = [Image.fromarray(SEED.integers(0, 255, (112, 112, 3), dtype=np.uint8)) for _ in range(3)]
SEEING: tuple[TinySize, ...] = ("micro", "micro-tiles", "micro-moe")
TEXT = [
    [ChatMessage("user", "2 + 3?")],
    [ChatMessage("user", "who?"), ChatMessage("assistant", "me", reasoning="so."), ChatMessage("user", "and 2 more?")],
]
SEEN = [
    [ChatMessage("user", "what colour is it?", (NOISE[0],))],
    [ChatMessage("user", "which is larger?", (NOISE[1], NOISE[2]))],
    [
        ChatMessage("user", "this?", (NOISE[0],)),
        ChatMessage("assistant", "a."),
        ChatMessage("user", "and this?", NOISE[:1]),
    ],
    [ChatMessage("user", "a wide one", (NOISE[0].resize((200, 90)),))],
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("policies")
    for size in SEEING:
        build(size, root / size, seed=0)
    texts = {"dense": save_dense(root / "dense"), "moe": save_moe(root / "moe")}
    return {size: root / size for size in SEEING} | texts


@pytest.fixture(scope="module")
def engine(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Prompts of every policy, with what the engine answered."""
    prompts = {}
    for name, folder in folders.items():
        renderer = load_processor(folder)
        chats = [*TEXT, *SEEN] if name in SEEING else TEXT
        prompts[name] = [renderer.prompt(chat, thinking=True) for chat in chats]
    jobs = [
        (str(folders[name]), [(p.token_ids.tolist(), list(p.images)) for p in rendered])
        for name, rendered in prompts.items()
    ]
    scratch = tmp_path_factory.mktemp("engine")
    (scratch / "in").write_bytes(pickle.dumps(jobs))
    script = ROOT / "tests" / "support" / "vllm_answers.py"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, str(script), str(scratch / "in"), str(scratch / "out")],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answers = pickle.loads((scratch / "out").read_bytes())
    return {name: list(zip(prompts[name], found, strict=True)) for name, found in zip(prompts, answers, strict=True)}


@pytest.mark.parametrize("name", [*SEEING, "dense", "moe"])
def test_the_engine_runs_on_the_ids_it_is_given(engine: dict[str, Any], name: str) -> None:
    for prompt, answer in engine[name]:
        assert answer["prompt"] == prompt.token_ids.tolist()
        assert len(answer["ids"]) == 40


@pytest.mark.parametrize("name", [*SEEING, "dense", "moe"])
def test_log_probabilities_are_the_learners(engine: dict[str, Any], folders: dict[str, Path], name: str) -> None:
    policy = load_policy(folders[name], dtype=torch.float32).eval()
    for prompt, answer in engine[name]:
        ids = torch.tensor([[*prompt.token_ids.tolist(), *answer["ids"]]])
        pixels = {} if prompt.pixel_values is None else {"pixel_values": torch.from_numpy(prompt.pixel_values)}
        with torch.no_grad():
            logits = policy(input_ids=ids, position_ids=torch.arange(ids.shape[1])[None], **pixels).logits
        start = len(prompt.token_ids)
        ours = logits.log_softmax(-1)[0, start - 1 : -1].gather(1, ids[0, start:, None])[:, 0]
        difference = (ours - torch.tensor(answer["logprobs"])).abs().max()
        assert difference < 1e-4, f"{name}: {difference:.1e} nats"


def test_the_engine_sees_the_images(engine: dict[str, Any], folders: dict[str, Path]) -> None:
    """With another image the learner's log-probabilities of the engine's answer are not the engine's."""
    policy = load_policy(folders["micro"], dtype=torch.float32).eval()
    prompt, answer = engine["micro"][len(TEXT)]
    ids = torch.tensor([[*prompt.token_ids.tolist(), *answer["ids"]]])
    with torch.no_grad():
        logits = policy(
            input_ids=ids,
            position_ids=torch.arange(ids.shape[1])[None],
            pixel_values=torch.zeros_like(torch.from_numpy(prompt.pixel_values)),
        ).logits
    start = len(prompt.token_ids)
    blind = logits.log_softmax(-1)[0, start - 1 : -1].gather(1, ids[0, start:, None])[:, 0]
    assert (blind - torch.tensor(answer["logprobs"])).abs().max() > 1e-2
