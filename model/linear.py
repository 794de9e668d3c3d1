"""Linear layers through oneDNN, for float32 training on a CPU.

PyTorch multiplies float32 matrices on a CPU with MKL, which on AMD processors runs at less than half of what the
machine can do: on one core of an EPYC with AVX-512, 100 against 245 Gflop/s for the shapes of the tiny policies.
oneDNN, which PyTorch carries with it, is as fast on either make and as exact.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F


def product(left: Tensor, right: Tensor) -> Tensor:
    """`left @ right.T` of [rows, inner] and [columns, inner], whatever their strides; by oneDNN where it can be."""
    onednn = torch.backends.mkldnn.is_available() and _is_float32(left, right) and left.numel()
    return _product(left, right) if onednn else left @ right.t()


def _is_float32(inputs: Tensor, weight: Tensor) -> bool:
    return inputs.is_cpu and inputs.dtype == weight.dtype == torch.float32


def _product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")


class _Linear(Function):
    """`F.linear` of [rows, inner] with all three products through oneDNN."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _product(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        inputs, weight = ctx.saved_tensors
        gradient = gradients[0]
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        return (
            _product(gradient, weight.t()) if of_inputs else None,
            _weight_gradient(gradient, inputs) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


def _weight_gradient(gradient: Tensor, inputs: Tensor) -> Tensor:
    """`gradient.T @ inputs`, computed the way round that has fewer rows: that is the faster one."""
    if gradient.shape[1] > inputs.shape[1]:
        return _product(inputs.t(), gradient.t()).t()
    return _product(gradient.t(), inputs.t())


class OneDnnLinear(nn.Linear):
    """A linear layer that goes through oneDNN where that is possible, and is an ordinary one elsewhere."""

    def forward(self, input: Tensor) -> Tensor:
        """Inputs [..., in features] to [..., out features]."""
        if _is_float32(input, self.weight) and input.numel():
            rows: Any = _Linear.apply(input.flatten(0, -2), self.weight, self.bias)
            return rows.view(*input.shape[:-1], self.out_features)
        return F.linear(input, self.weight, self.bias)


def use_onednn(model: nn.Module) -> None:
    """Send all linear layers of a model through oneDNN; parameters and their names stay as they are."""
    if torch.backends.mkldnn.is_available():
        for module in model.modules():
            if type(module) is nn.Linear:
                module.__class__ = OneDnnLinear
