from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from model.load import load_policy
from model.norm import LeanRmsNorm, use_lean_norms


def of_class(kind: type[nn.Module], size: int) -> nn.Module:
    norm: Any = kind(size, eps=1e-5)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, steps=size))
    return norm


@pytest.mark.parametrize("kind", [nn.RMSNorm, Qwen3RMSNorm])
@pytest.mark.parametrize("shape", [(50, 24), (3, 17, 24), (2, 5, 4, 24)])
def test_values_and_gradients_are_an_ordinary_norms(kind: type[nn.Module], shape: tuple[int, ...]) -> None:
    plain, lean = of_class(kind, 24), of_class(kind, 24)
    use_lean_norms(lean)
    assert type(lean) is LeanRmsNorm
    results = []
    for norm in (plain, lean):
        x = torch.sin(torch.arange(torch.Size(shape).numel()).float()).view(shape).requires_grad_()
        out = norm(x)
        (out * torch.linspace(-1, 2, steps=24)).exp().sum().backward()
        results.append([out.detach(), x.grad, norm.weight.grad])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=2e-5)


def test_the_gradient_is_right_to_double_precision() -> None:
    from model.norm import _RmsNorm

    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: _RmsNorm.apply(x, w, 1e-6), (x, weight))


def test_rows_of_zeros_stay_zeros() -> None:
    norm: Any = of_class(LeanRmsNorm, 8)
    x = torch.zeros(3, 8, requires_grad=True)
    norm(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert norm(x).count_nonzero() == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_take_the_ordinary_way(dtype: torch.dtype) -> None:
    norm: Any = of_class(LeanRmsNorm, 8).to(dtype)
    x = torch.randn(4, 8, dtype=dtype)
    assert torch.equal(norm(x), nn.functional.rms_norm(x, (8,), norm.weight, 1e-5))


def test_every_norm_of_a_policy_is_lean(nano_folder: Path, moe_folder: Path) -> None:
    for folder in (nano_folder, moe_folder):
        norms = [m for m in load_policy(folder, dtype=torch.float32).modules() if "rmsnorm" in type(m).__name__.lower()]
        assert norms
        assert all(type(norm) is LeanRmsNorm for norm in norms)
