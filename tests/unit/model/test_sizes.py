"""The published sizes, counted without memory, against the figures of the report, Qwen3 and the released index."""

from __future__ import annotations

from typing import get_args

import pytest

from configs.model import TinySize
from model.build import SHAPES
from model.sizes import count, name_of, published

INDEX_BYTES = 5_461_130_240
"""`total_size` in the `model.safetensors.index.json` of the released SAIL-VL2-2B, which is bfloat16."""


def test_the_released_2b_to_the_last_parameter() -> None:
    assert count(published()["2B"]).total == INDEX_BYTES // 2


@pytest.mark.parametrize(
    ("size", "language", "active"),
    [("2B", 2.0, 2.0), ("AnyRes-2B", 2.0, 2.0), ("8B", 8.2, 8.2), ("30B-A3B", 30.5, 3.3)],
)
def test_parameters_are_the_published(size: str, language: float, active: float) -> None:
    """The report's Table 1 (billions): SAIL-ViT-Huge 0.6, cut off rather than rounded; Qwen3 2.0, 8.2, 30.5.

    3.3 billion active ones are what Qwen3-30B-A3B's own card says.
    """
    found = count(published()[size])
    assert int(found.vision / 1e8) == 6
    assert round(found.language / 1e9, 1) == language
    assert found.active == pytest.approx(active * 1e9, rel=0.02)


def test_the_adapter_by_hand() -> None:
    """LayerNorm over 4 x 1536, then two linear layers with biases; 4096 wide in the 8B."""
    assert count(published()["8B"]).connector == 2 * 6144 + (6144 * 4096 + 4096) + (4096 * 4096 + 4096)


def test_sizes_are_known_by_their_shape() -> None:
    assert [name_of(config) for config in published().values()] == list(published())
    other = published()["2B"]
    other.text_config.num_hidden_layers = 27
    assert name_of(other) is None


def test_the_schema_names_the_sizes_that_can_be_built() -> None:
    assert set(SHAPES) == set(get_args(TinySize))
