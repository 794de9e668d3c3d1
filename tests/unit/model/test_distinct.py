"""Image features in a pack: each where it belongs, however often an image occurs, and computed once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.load import load_policy
from model.sail_vl2.distinct import distinct_images

GRIDS = [(2, 2), (2, 4), (6, 2), (4, 4)]


@pytest.fixture(scope="module")
def policies(nano_folder: Path, variants: dict[str, Path]) -> dict[bool, Any]:
    """By whether they see images at their native size."""
    return {
        native: load_policy(folder, dtype=torch.float32)
        for native, folder in ((False, nano_folder), (True, variants["micro-native"]))
    }


def picture(policy: Any, number: int, *, native: bool) -> tuple[Tensor, tuple[int, int]]:
    """Pixels of one of four pictures, and their grid."""
    vision = policy.config.vision_config
    generator = torch.Generator().manual_seed(number)
    if not native:
        return torch.randn(1, 3, vision.image_size, vision.image_size, generator=generator), (vision.grid, vision.grid)
    height, width = GRIDS[number]
    return torch.randn(height * width, 3, vision.patch_size, vision.patch_size, generator=generator), (height, width)


def laid_out(policy: Any, sequences: list[list[int | None]], *, native: bool) -> tuple[Tensor, Tensor | None, Any]:
    """Ids, pixels and grids of sequences in which None is a word and a number a picture."""
    ids, pixels, grids = [], [], []
    for part in (part for sequence in sequences for part in sequence):
        if part is None:
            ids.append(17)
            continue
        values, (height, width) = picture(policy, part, native=native)
        ids += [policy.config.image_token_id] * (height * width // policy.config.downsample**2)
        pixels.append(values)
        grids.append([height, width])
    if not pixels:
        return torch.tensor([ids]), None, None
    return torch.tensor([ids]), torch.cat(pixels), torch.tensor(grids) if native else None


def seen(policy: Any, inputs: tuple[Tensor, Tensor | None, Any]) -> tuple[Tensor, list[Tensor]]:
    """Embeddings, and the gradients that each of their values alike gives tower, adapter and embedding."""
    policy.zero_grad()
    found = policy.embed(*inputs)[0]
    (found * torch.arange(1, found.shape[1] + 1)).sum().backward()
    return found.detach(), [p.grad.clone() for p in policy.parameters() if p.grad is not None]


Alone = dict[int | None, tuple[Tensor, list[Tensor]]]
"""What `seen` gives for each picture, and for a word, by itself."""


@pytest.fixture(scope="module")
def alone(policies: dict[bool, Any]) -> dict[bool, Alone]:
    return {
        native: {part: seen(policy, laid_out(policy, [[part]], native=native)) for part in (None, *range(4))}
        for native, policy in policies.items()
    }


parts = st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=6)


@pytest.mark.parametrize("native", [False, True])
@given(sequences=st.lists(parts, min_size=1, max_size=5))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_pack_sees_what_its_parts_are_alone(
    policies: dict[bool, Any], alone: dict[bool, Alone], native: bool, sequences: list[list[int | None]]
) -> None:
    """Features and gradients: what stands in a place, and what is learnt from it, is what its image alone gives."""
    together, gradients = seen(policies[native], laid_out(policies[native], sequences, native=native))
    own = [alone[native][part] for sequence in sequences for part in sequence]
    torch.testing.assert_close(together, torch.cat([embeddings for embeddings, _ in own]), atol=1e-5, rtol=1e-5)
    for number, gradient in enumerate(gradients):
        expected = torch.stack([of_part[number] for _, of_part in own]).sum(0)
        torch.testing.assert_close(gradient, expected, atol=1e-4 * float(expected.abs().max() + 1e-6), rtol=1e-4)


@pytest.mark.parametrize("native", [False, True])
def test_an_image_goes_through_the_tower_once(policies: dict[bool, Any], native: bool) -> None:
    policy = policies[native]
    rows = []
    hook = policy.vision_model.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    policy.embed(*laid_out(policy, [[None, 2], [0, 2, 2], [None], [2, 0]], native=native))
    hook.remove()
    assert rows == [sum(len(picture(policy, number, native=native)[0]) for number in (2, 0))]


def test_images_that_differ_in_one_value_are_two() -> None:
    """Whether or not that value is among those that are looked at first."""
    images = torch.zeros(20, 3, 2, 2)
    images[1:].view(19, 12)[:12].fill_diagonal_(1e-3)
    found = distinct_images(images, None)
    assert found.order == [*range(13), *[0] * 7]
    assert torch.equal(found.pixel_values, images[:13])
