"""Weights in files: written as they come, read one by one, and every disagreement named."""

from __future__ import annotations

import gc
import hashlib
import json
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from halyard.errors import SnapshotError
from model.weight_files import INDEX, Layout, WeightFiles, refuse_misfits, write_safetensors, write_sharded

TENSORS = {
    "a.weight": torch.arange(6, dtype=torch.float32).view(2, 3).T,  # not contiguous
    "b": torch.tensor([1.5, -0.0], dtype=torch.bfloat16),
    "empty": torch.zeros(0, 4),
    "count": torch.tensor(7),
}
LAYOUT: Layout = [(name, tensor.dtype, tensor.shape) for name, tensor in TENSORS.items()]


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


def test_a_tensor_out_of_place_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(ValueError, match=r"expected a\.weight"):
        write_safetensors(path, LAYOUT, reversed(TENSORS.items()), durable=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("most", [10, 24, 10**9])
def test_shards_hold_all_weights_once_and_no_more_than_they_may(tmp_path: Path, most: int) -> None:
    write_sharded(tmp_path, LAYOUT, TENSORS.items(), most=most)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == {10: 3, 24: 2, 10**9: 1}[most]  # 24 bytes, 4, none, 8
    found = {name: tensor for file in files for name, tensor in load_file(file).items()}
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())
    if len(files) > 1:
        index = json.loads((tmp_path / INDEX).read_text())
        assert index["metadata"]["total_size"] == 24 + 4 + 8
        assert index["weight_map"].keys() == TENSORS.keys()
    read = dict(WeightFiles.of(tmp_path).stream())
    assert all(torch.equal(read[name], tensor) for name, tensor in TENSORS.items())


def test_no_tensor_outlives_its_turn(tmp_path: Path) -> None:
    """From files to files there is one tensor at a time: when the next is asked for, the last is gone."""
    many = {f"w{number}": torch.full((64, 64), float(number)) for number in range(20)}
    layout: Layout = [(name, tensor.dtype, tensor.shape) for name, tensor in many.items()]
    write_sharded(tmp_path, layout, many.items(), most=5 * 64 * 64 * 4)
    weights = WeightFiles.of(tmp_path)
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def watched() -> Iterator[tuple[str, torch.Tensor]]:
        nonlocal most
        for name, tensor in weights.stream():
            alive.append(weakref.ref(tensor))
            gc.collect()
            most = max(most, sum(one() is not None for one in alive))
            yield name, tensor

    (tmp_path / "again").mkdir()
    write_sharded(tmp_path / "again", weights.layout, watched())
    assert len(alive) == 20
    assert most <= 2


def refusal(folder: Path) -> str:
    with pytest.raises(SnapshotError) as caught:
        WeightFiles.of(folder)
    return str(caught.value)


def test_what_is_wrong_with_the_files_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path).endswith("are not complete: model.safetensors is missing")
    write_sharded(tmp_path, LAYOUT, TENSORS.items(), most=10)
    last = tmp_path / "model-00003-of-00003.safetensors"
    kept = last.read_bytes()
    last.unlink()
    assert refusal(tmp_path).endswith("are not complete: model-00003-of-00003.safetensors is missing")
    last.write_bytes(kept[:-1])
    assert "model-00003-of-00003.safetensors cannot be read" in refusal(tmp_path)
    save_file({"count": torch.tensor(7), "b": torch.zeros(1)}, last)
    assert "has the weight b twice: in model-00002-of-00003.safetensors and in model-00003" in refusal(tmp_path)
    save_file({"other": torch.tensor(7)}, last)
    assert refusal(tmp_path).endswith("do not agree about the weight count")
    (tmp_path / INDEX).write_text("{}")
    assert "is no index of weights" in refusal(tmp_path)


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    expected = {name: shape for name, _, shape in LAYOUT}
    refuse_misfits(tmp_path, LAYOUT, expected)
    said = f"the weights in {tmp_path} do not fit its config.json: they "
    for found, problem in (
        (LAYOUT[1:], "lack a.weight"),
        ([*LAYOUT, ("c", torch.float32, torch.Size([2]))], "also have c"),
        (
            [("a.weight", torch.float32, torch.Size([2, 3])), *LAYOUT[1:]],
            "have another shape for a.weight (2 x 3 instead of 3 x 2)",
        ),
        ([], "lack a.weight, b, count and 1 more"),
    ):
        with pytest.raises(SnapshotError) as caught:
            refuse_misfits(tmp_path, found, expected)
        assert str(caught.value) == said + problem
