from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.tiny_models import save_dense, save_moe

from configs.model import TinySize
from model.build import build
from model.load import load_policy, load_processor
from model.render import Renderer
from model.sail_vl2 import SailVl2ForConditionalGeneration


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Matrices this small are faster on one core, and other processes may need the rest."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def nano_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nano")
    build("nano", folder, seed=0)
    return folder


@pytest.fixture(scope="session")
def dense_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_dense(tmp_path_factory.mktemp("dense"))


@pytest.fixture(scope="session")
def moe_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_moe(tmp_path_factory.mktemp("moe"))


@pytest.fixture(scope="session")
def variants(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the micro policies that are unlike the others."""
    root = tmp_path_factory.mktemp("variants")
    sizes: tuple[TinySize, ...] = ("micro-tiles", "micro-native", "micro-moe")
    for size in sizes:
        build(size, root / size, seed=0)
    return {size: root / size for size in sizes}


@pytest.fixture(scope="session")
def renderer(nano_folder: Path) -> Renderer:
    return load_processor(nano_folder)


@pytest.fixture
def nano(nano_folder: Path) -> SailVl2ForConditionalGeneration:
    policy = load_policy(nano_folder, dtype=torch.float32)
    assert isinstance(policy, SailVl2ForConditionalGeneration)
    return policy
