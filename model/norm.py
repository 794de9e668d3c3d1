"""RMSNorm with a gradient of its own, for float32 training on a CPU.

Left to autograd, the norm's half dozen elementwise steps each read and write the whole activation, forward and
backward: 1.7 ms for 4096 x 128 on one core against 0.6 ms here, and a decoder layer has four of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeRMSNorm


class _RmsNorm(Function):
    """y = x · s · w with s = (mean of x² + eps)^-1/2 over the last dimension, of size d.

    With t = dy · x: dw = Σ t · s over all rows, and dx = s · w · dy - x · s³ · (t · w summed) / d.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, scale = ctx.saved_tensors
        size = x.shape[-1]
        product = (gradients[0] * x).reshape(-1, size)
        of_weight = product.t() @ scale.view(-1)
        along = (product @ weight).view_as(scale).mul_(scale**3).div_(-size)
        of_x = (gradients[0] * weight).mul_(scale).addcmul_(x, along)
        return of_x, of_weight, None


class LeanRmsNorm(nn.RMSNorm):
    """An RMSNorm that takes the short way where that is possible, and is an ordinary one elsewhere."""

    def forward(self, x: Tensor) -> Tensor:
        """Inputs [..., size] to outputs of the same shape."""
        if x.is_cpu and x.dtype == self.weight.dtype == torch.float32 and x.numel() and self.eps is not None:
            normed: Any = _RmsNorm.apply(x, self.weight, self.eps)
            return normed
        return F.rms_norm(x, list(self.weight.shape), self.weight, self.eps)


def use_lean_norms(model: nn.Module) -> None:
    """Send all RMS norms of a model the short way; parameters and their names stay as they are."""
    modules: Any = model.modules()
    for module in modules:
        if type(module) in (Qwen3RMSNorm, Qwen3MoeRMSNorm):
            module.eps = module.variance_epsilon
            # What nn.RMSNorm says of itself: DeepSpeed's ZeRO-3 prints the module it is given.
            module.normalized_shape, module.elementwise_affine = tuple(module.weight.shape), True
            module.__class__ = LeanRmsNorm
        elif type(module) is nn.RMSNorm:
            module.__class__ = LeanRmsNorm
