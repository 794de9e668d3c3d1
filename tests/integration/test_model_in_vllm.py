"""vLLM runs our policies on the very ids it is given, and its log-probabilities are the learner's.

So they are on both ways that vLLM has to run them, over several processes, before and after new weights, and with an
adapter. All engines are started one after the other in one process: vLLM's own layers first, since its Transformers
backend changes transformers for the whole process.
"""

from __future__ import annotations

import json
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
from safetensors.torch import load_file, save_file
from support.tiny_families import FAMILIES, save_internvl
from support.tiny_models import save_dense, save_moe
from torch import Tensor, nn

from configs.model import TinySize
from halyard.cluster.digests import digest
from halyard.cluster.logprobs import LogProbHead
from model.build import build
from model.hidden import hidden_states, silent_token
from model.load import load_policy, load_processor
from model.render import ChatMessage, Rendered
from model.video import Video

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-4
"""Nats, in float32; engines and learners that differ by more than 1e-3 would be a fault."""
SEED = np.random.default_rng(0)
NOISE = [Image.fromarray(SEED.integers(0, 255, (112, 112, 3), dtype=np.uint8)) for _ in range(3)]
SIZES: tuple[TinySize, ...] = ("micro", "micro-tiles", "micro-native", "micro-moe")
OTHERS = ("internvl", "internvl-moe", "qwen2_5_vl", "qwen3_vl")
SEEING = (*SIZES, *OTHERS)
SPREAD = ("spread", "micro-moe")
"""On vLLM's own layers, over two processes."""
ENGINES = [
    *(("native", name) for name in (*SIZES, "dense", "moe")),
    ("transformers", "micro"),
    *(("native", name) for name in OTHERS),
    SPREAD,
]
UPDATED = [("native", "micro"), ("transformers", "micro"), *(("native", name) for name in OTHERS), SPREAD]
ADAPTED = ("native", "micro-tiles")
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
        ChatMessage("user", "and this?", (NOISE[0],)),
    ],
    [ChatMessage("user", "a wide one", (NOISE[0].resize((200, 90)),))],
    [ChatMessage("user", "what moves?", videos=(Video((NOISE[1], NOISE[2]), (0.0, 0.5)),))],
]

Answers = list[tuple[Rendered, dict[str, Any]]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("policies")
    for size in SIZES:
        build(size, root / size, seed=0)
    for name, save in FAMILIES.items():
        save(root / name)
    save_internvl(root / "internvl-moe", experts=True)
    texts = {"dense": save_dense(root / "dense"), "moe": save_moe(root / "moe")}
    return {name: root / name for name in SEEING} | texts


@pytest.fixture(scope="module")
def shaken(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For policies that get new weights, the file of them: every tensor is changed a little, each in its own way."""
    root, generator = tmp_path_factory.mktemp("shaken"), torch.Generator().manual_seed(1)
    for name in dict.fromkeys(name for _, name in UPDATED):
        tensors = load_file(folders[name] / "model.safetensors")
        for tensor in tensors.values():
            tensor += 0.1 * (tensor.std() + 0.1) * torch.randn(tensor.shape, generator=generator)
        save_file(tensors, root / f"{name}.safetensors", metadata={"format": "pt"})
    return {name: root / f"{name}.safetensors" for _, name in UPDATED}


@pytest.fixture(scope="module")
def adapter(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter, in the layout that PEFT writes, of linear layers in tower, connector and decoder."""
    policy: Any = load_policy(folders[ADAPTED[1]], dtype=torch.float32)
    generator, tensors = torch.Generator().manual_seed(2), {}
    targets = [name for name, module in policy.named_modules() if adaptable(name, module)]
    for name in targets:
        outputs, inputs = policy.get_submodule(name).weight.shape
        tensors[f"base_model.model.{name}.lora_A.weight"] = 0.2 * torch.randn(4, inputs, generator=generator)
        tensors[f"base_model.model.{name}.lora_B.weight"] = 0.2 * torch.randn(outputs, 4, generator=generator)
    folder = tmp_path_factory.mktemp("adapter")
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", "target_modules": targets}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def adaptable(name: str, module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) and not name.endswith("lm_head")


@pytest.fixture(scope="module")
def engines(
    folders: dict[str, Path], shaken: dict[str, Path], adapter: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], dict[str, Any]]:
    """What each engine made of the prompts: answers beside their prompts, and checksums."""
    prompts, jobs = {}, []
    for name, folder in folders.items():
        renderer = load_processor(folder)
        chats = [*TEXT, *SEEN] if name in SEEING else TEXT
        prompts[name] = [renderer.prompt(chat, thinking=True) for chat in chats]
    for path, name in ENGINES:
        ready = [(one.token_ids.tolist(), list(one.images)) for one in prompts[name]]
        job = {"folder": str(folders[name]), "path": path, "prompts": ready}
        if path == "spread":
            job |= {"path": "native", "ranks": 2}
        if (path, name) in UPDATED:
            job["update"] = str(shaken[name])
        if (path, name) == ADAPTED:
            job["adapter"] = str(adapter)
        jobs.append(job)
    made = ask(jobs, tmp_path_factory.mktemp("engine"))
    return {
        key: {
            part: found if part == "checksums" else list(zip(prompts[key[1]], found, strict=True))
            for part, found in one.items()
        }
        for key, one in zip(ENGINES, made, strict=True)
    }


def ask(jobs: list[dict[str, Any]], scratch: Path) -> list[dict[str, Any]]:
    """What the engines make of the jobs, in a process of their own."""
    (scratch / "in").write_bytes(pickle.dumps(jobs))
    script = ROOT / "tests" / "support" / "vllm_answers.py"
    done = subprocess.run(
        [sys.executable, str(script), str(scratch / "in"), str(scratch / "out")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return pickle.loads((scratch / "out").read_bytes())


def learners(policy: Any, prompt: Rendered, ids: list[int]) -> Tensor:
    """The learner's log-probabilities of an answer to a prompt."""
    start = len(prompt.token_ids)
    whole = torch.tensor([[*prompt.token_ids.tolist(), *ids]])
    seen = [None if value is None else torch.from_numpy(value) for value in (prompt.pixel_values, prompt.image_grids)]
    head = LogProbHead(policy.get_output_embeddings(), silent_token(policy))
    with torch.no_grad():
        states = hidden_states(policy, whole, torch.arange(whole.shape[1])[None], *seen).states
        return head(states[start - 1 : -1], whole[0, start:], 1.0)[0]


def distance(policy: Any, answers: Answers) -> float:
    """The largest difference between the engine's log-probabilities and the learner's, in nats."""
    return max(
        float((learners(policy, prompt, answer["ids"]) - torch.tensor(answer["logprobs"])).abs().max())
        for prompt, answer in answers
    )


@pytest.mark.parametrize("key", ENGINES, ids="-".join)
def test_the_engine_runs_on_the_ids_it_is_given(engines: dict[Any, Any], key: tuple[str, str]) -> None:
    for prompt, answer in engines[key]["first"]:
        assert answer["prompt"] == prompt.token_ids.tolist()
        assert len(answer["ids"]) == 40


@pytest.mark.parametrize("key", ENGINES, ids="-".join)
def test_log_probabilities_are_the_learners(
    engines: dict[Any, Any], folders: dict[str, Path], key: tuple[str, str]
) -> None:
    policy = load_policy(folders[key[1]], dtype=torch.float32).eval()
    assert distance(policy, engines[key]["first"]) < TOLERANCE


@pytest.mark.parametrize(("path", "name"), [("transformers", "micro"), SPREAD])
def test_all_ways_sample_the_same(engines: dict[Any, Any], path: str, name: str) -> None:
    """From seeds of their own, and log-probabilities that agree: so close are they that the same tokens come out."""
    pairs = zip(engines["native", name]["first"], engines[path, name]["first"], strict=True)
    for (_, ours), (_, theirs) in pairs:
        assert ours["ids"] == theirs["ids"]
        np.testing.assert_allclose(ours["logprobs"], theirs["logprobs"], atol=TOLERANCE)


@pytest.mark.parametrize("key", UPDATED, ids="-".join)
def test_new_weights_reach_every_layer(
    engines: dict[Any, Any], folders: dict[str, Path], shaken: dict[str, Path], key: tuple[str, str]
) -> None:
    """The tensors received are those sent, and what the engine fuses of them computes what the learner does."""
    sent, name = load_file(shaken[key[1]]), key[1]
    for received in engines[key]["checksums"]:
        assert received == {tensor: digest(value) for tensor, value in sent.items()}
    policy = load_policy(folders[name], dtype=torch.float32).eval()
    assert distance(policy, engines[key]["updated"]) > 100 * TOLERANCE
    replaced = folders[name].with_name(f"{name}-shaken-{key[0]}")
    replaced.mkdir()
    for file in folders[name].iterdir():
        (replaced / file.name).symlink_to(shaken[name] if file.suffix == ".safetensors" else file)
    assert distance(load_policy(replaced, dtype=torch.float32).eval(), engines[key]["updated"]) < TOLERANCE


def test_an_adapter_is_applied_to_tower_connector_and_decoder(
    engines: dict[Any, Any], folders: dict[str, Path], adapter: Path
) -> None:
    policy: Any = load_policy(folders[ADAPTED[1]], dtype=torch.float32).eval()
    answers = engines[ADAPTED]["adapted"]
    assert distance(policy, answers) > 100 * TOLERANCE
    tensors = load_file(adapter / "adapter_model.safetensors")
    with torch.no_grad():
        for name in {name.removeprefix("base_model.model.").rpartition(".lora_")[0] for name in tensors}:
            low, high = (tensors[f"base_model.model.{name}.lora_{half}.weight"] for half in "AB")
            policy.get_submodule(name).weight += 2 * high @ low
    assert distance(policy, answers) < TOLERANCE


@pytest.mark.parametrize("name", ["micro", *OTHERS])
def test_the_engine_sees_the_images(engines: dict[Any, Any], folders: dict[str, Path], name: str) -> None:
    """With another image the learner's log-probabilities of the engine's answer are not the engine's."""
    policy = load_policy(folders[name], dtype=torch.float32).eval()
    prompt, answer = engines["native", name]["first"][len(TEXT)]
    blank = Rendered(
        token_ids=prompt.token_ids,
        loss_mask=prompt.loss_mask,
        pixel_values=np.zeros_like(prompt.pixel_values),
        image_grids=prompt.image_grids,
        images=prompt.images,
    )
    assert distance(policy, [(blank, answer)]) > 1e-2
