from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from support.tiny_models import save_dense, save_moe

from halyard.cluster.training_module import TrainingModule
from halyard.cluster.weights import layout, stream, write_safetensors
from model.build import build
from model.load import load_policy

TENSORS = {
    "a.weight": torch.arange(6, dtype=torch.float32).view(2, 3).T,  # not contiguous
    "b": torch.tensor([1.5, -0.0], dtype=torch.bfloat16),
    "empty": torch.zeros(0, 4),
    "count": torch.tensor(7),
}
LAYOUT = [(name, tensor.dtype, tensor.shape) for name, tensor in TENSORS.items()]


def test_safetensors_reads_what_was_streamed(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    sha = write_safetensors(path, LAYOUT, TENSORS.items(), durable=True)
    found = load_file(path)
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert sha == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [file.name for file in tmp_path.iterdir()] == ["w.safetensors"]


def test_tensors_are_asked_for_one_at_a_time(tmp_path: Path) -> None:
    alive = []

    def stream():
        for name, tensor in TENSORS.items():
            alive.append(name)
            yield name, tensor
            alive.remove(name)
            assert not alive

    write_safetensors(tmp_path / "w.safetensors", LAYOUT, stream(), durable=False)


def test_a_tensor_out_of_place_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(ValueError, match=r"expected a\.weight"):
        write_safetensors(path, LAYOUT, reversed(TENSORS.items()), durable=False)
    assert not list(tmp_path.iterdir())


def same_as_saved(policy: Any, folder: Path) -> bool:
    """Whether streaming yields exactly what transformers itself saves, and announces it rightly."""
    policy.save_pretrained(folder)
    module = TrainingModule(policy)
    saved, streamed = load_file(folder / "model.safetensors"), dict(stream(module))
    assert layout(module) == [(name, tensor.dtype, tensor.shape) for name, tensor in streamed.items()]
    return saved.keys() == streamed.keys() and all(torch.equal(saved[name], streamed[name]) for name in saved)


@pytest.mark.parametrize("save", [save_dense, save_moe])
def test_names_and_tensors_are_those_of_a_saved_checkpoint(tmp_path: Path, save: Callable[[Path], Path]) -> None:
    """Tied embeddings appear once; fused experts appear one by one, as engines expect them."""
    policy = load_policy(save(tmp_path / "policy"), dtype=torch.float32)
    assert same_as_saved(policy, tmp_path / "saved")


def test_names_of_a_vision_language_policy_are_those_of_a_saved_checkpoint(tmp_path: Path) -> None:
    build("nano", tmp_path / "policy", seed=0)
    assert same_as_saved(load_policy(tmp_path / "policy", dtype=torch.float32), tmp_path / "saved")
