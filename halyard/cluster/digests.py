"""Checksums of tensors, the same on the learner's and on the engine's side."""

from __future__ import annotations

import hashlib

import torch


def digest(tensor: torch.Tensor) -> str:
    """SHA-256 of a tensor's elements in row-major order, in its own precision, as hexadecimal digits."""
    flat = tensor.detach().cpu().contiguous().view(-1)
    return hashlib.sha256(flat.view(torch.uint8).numpy().data).hexdigest()
