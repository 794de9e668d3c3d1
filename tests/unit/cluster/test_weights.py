from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.tiny_models import save_dense, save_moe

from halyard.cluster.training_module import TrainingModule
from halyard.cluster.weights import layout, stream
from model.build import build
from model.load import load_policy


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
