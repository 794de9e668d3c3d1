"""Packed attention: many sequences laid end to end in one row, none of which sees another.

The position ids of a pack restart at 0 where a sequence begins; that is all a caller has to say. The lengths are
read from them once per forward pass, on the way into the decoder, and handed down to every layer.

Each sequence is attended to on its own. On one core, for 58 sequences of 50 to 90 tokens, 4 heads of 32, forward
and backward take 13 ms a layer this way, 19 ms as one padded batch, and far longer as one masked square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface

PACKED = "packed"


@dataclass(frozen=True, slots=True)
class Packing:
    """Lengths of the sequences in one pack, in order.

    >>> Packing.of(torch.tensor([[0, 1, 2, 0, 1, 0]]))
    Packing(lengths=(3, 2, 1))
    """

    lengths: tuple[int, ...]

    @classmethod
    def of(cls, position_ids: Tensor) -> Packing:
        """The packing that position ids [1, tokens] describe.

        Raises:
            ValueError: they do not begin at 0, or go on with anything but the next number or 0.
        """
        positions = position_ids.flatten()
        starts = (positions == 0).nonzero().flatten()
        ends = torch.cat([starts[1:], starts.new_tensor([len(positions)])])
        lengths = tuple((ends - starts).tolist())
        counted = torch.cat([torch.arange(n, device=positions.device) for n in lengths]) if lengths else positions[:0]
        if not torch.equal(counted, positions):
            raise ValueError("the position ids of a pack must count up from 0 within each sequence, and restart at 0")
        return cls(lengths)


class Exchange(Protocol):
    """Ranks that have cut a pack's tokens among themselves swap them for heads before attention, and back after it."""

    def to_heads(self, states: Sequence[Tensor]) -> list[Tensor]:
        """States [1, heads, own tokens, head dim] as [1, own heads, tokens, head dim]."""
        ...

    def to_tokens(self, attended: Tensor) -> Tensor:
        """What was attended, [1, tokens, own heads, head dim], as [1, own tokens, heads, head dim]."""
        ...


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    packing: Packing | None = None,
    exchange: Exchange | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention within each sequence of a pack: [1, tokens, heads, head dim] of query [1, heads, tokens, head dim].

    Without a packing every row of the batch is one sequence of its own: so the vision tower attends, an image a row.
    With an exchange the tokens are this rank's share of the pack, and the packing is that of the whole.

    Raises:
        ValueError: an attention mask or cached keys came along, which nothing here would heed.
    """
    if query.shape[2] != key.shape[2]:
        raise ValueError("packed attention has no key-value cache: load the policy with attention='sdpa' to generate")
    if attention_mask is not None:
        raise ValueError("packed attention takes no attention mask: lay sequences end to end instead of padding them")
    if exchange is not None:
        query, key, value = exchange.to_heads((query, key, value))
    rows = [(query, key, value)]
    if packing is not None and len(packing.lengths) > 1:
        rows = list(zip(*(states.split(packing.lengths, dim=2) for states in (query, key, value)), strict=True))
    attended = [
        F.scaled_dot_product_attention(
            *row,
            dropout_p=dropout,
            scale=scaling,
            is_causal=bool(module.is_causal),
            enable_gqa=query.shape[1] != key.shape[1],
        ).transpose(1, 2)
        for row in rows
    ]
    joined = attended[0] if len(attended) == 1 else torch.cat(attended, dim=1)
    return (joined if exchange is None else exchange.to_tokens(joined)), None


def _read_packing(decoder: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """Hand the packing down, as a pre-hook of a decoder. Without position ids a row is one sequence."""
    position_ids = kwargs.get("position_ids")
    config: Any = decoder.config
    if position_ids is None or "packing" in kwargs or config._attn_implementation != PACKED:
        return args, kwargs
    # Where positions have several directions, the first row counts the tokens of a sequence.
    counted = position_ids[0] if position_ids.ndim == 3 else position_ids
    if len(counted) != 1:
        raise ValueError(f"a pack is one row of tokens, but there are {len(counted)}: lay them end to end")
    return args, {**kwargs, "packing": Packing.of(counted), "use_cache": False}


def pack_sequences(decoder: nn.Module) -> None:
    """Let a decoder (`Qwen3Model`, `Qwen3VLTextModel`, ...) whose attention is "packed" read position ids as packs."""
    decoder.register_forward_pre_hook(_read_packing, with_kwargs=True)


AttentionInterface.register(PACKED, packed_attention)
AttentionMaskInterface.register(PACKED, lambda *_, **__: None)
