from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from model.linear import OneDnnLinear, use_onednn


@pytest.mark.parametrize(("inner", "outer"), [(24, 40), (40, 24)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(50,), (3, 17)])
def test_values_and_gradients_are_an_ordinary_layers(
    inner: int, outer: int, bias: bool, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(inner, outer, bias=bias)
    fast = copy.deepcopy(plain)
    use_onednn(fast)
    assert type(fast) is OneDnnLinear
    results = []
    for layer in (plain, fast):
        inputs = torch.linspace(-1, 1, steps=inner).expand(*shape, inner).clone().requires_grad_()
        out = layer(inputs)
        (out * torch.linspace(0, 2, steps=outer)).square().sum().backward()
        results.append([out.detach(), inputs.grad, *(p.grad for p in layer.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)


def test_frozen_parts_get_no_gradient() -> None:
    layer = OneDnnLinear(8, 8)
    layer.weight.requires_grad_(False)
    inputs = torch.randn(4, 8, requires_grad=True)
    layer(inputs).sum().backward()
    assert layer.weight.grad is None
    assert inputs.grad is not None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_take_the_ordinary_way(dtype: torch.dtype) -> None:
    layer = OneDnnLinear(8, 8).to(dtype)
    inputs = torch.randn(4, 8, dtype=dtype)
    assert torch.equal(layer(inputs), nn.functional.linear(inputs, layer.weight, layer.bias))
    assert OneDnnLinear(8, 8)(torch.zeros(0, 8)).shape == (0, 8)
