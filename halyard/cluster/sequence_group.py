"""Ranks that cut a pack's tokens among themselves, so that long sequences fit (sequence parallelism).

    rank 0: tokens 0..4, all heads ─┐             ┌─▶ all tokens, heads 0..1 ─ attention ─┐              ┌─▶ tokens 0..4
                                    ├─ all-to-all ┤                                       ├─ all-to-all ─┤
    rank 1: tokens 5..9, all heads ─┘             └─▶ all tokens, heads 2..3 ─ attention ─┘              └─▶ tokens 5..9

All else that a policy does, it does to each token alone. The group's ranks hold the same sequences, each makes the
log-probs of its own tokens, and all know the log-probs of all: a loss sees whole sequences, as on one rank. Each rank's
gradient is that of its own log-probs, and the ranks' gradients are added up as they are of different packs.

Source: DeepSpeed Ulysses (Jacobs et al., arXiv 2309.14509). DeepSpeed's own `UlyssesSPAttentionHF` cuts into equal
shares, so that packs would need padding, and gathers position ids anew in every layer; here shares differ by a token,
queries, keys and values go in one exchange, and the packing is known beforehand.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, distributed

from halyard.cluster.heads import dealings, in_words
from halyard.errors import ConfigError
from model.share import Share


@dataclass(frozen=True)
class SequenceGroup:
    """The ranks that share packs with this one; `rank` is this rank's number among them."""

    size: int
    rank: int
    processes: distributed.ProcessGroup

    def share(self, tokens: int) -> Share:
        """This rank's part of a pack."""
        bounds = [tokens * rank // self.size for rank in range(self.size + 1)]
        exchange = TokenExchange(self, [stop - start for start, stop in pairwise(bounds)])
        return Share(bounds[self.rank], bounds[self.rank + 1], exchange)

    def gather(self, own: Tensor, before: int, total: int) -> Tensor:
        """The values [total] of all ranks, this one's starting at `before`; only they carry a gradient."""
        everyone = own.new_zeros(total)
        everyone[before : before + len(own)] = own.detach()
        if total:
            distributed.all_reduce(everyone, group=self.processes)
        return torch.cat([everyone[:before], own, everyone[before + len(own) :]])


def sequence_group(size: int) -> SequenceGroup | None:
    """The group of `size` neighbouring ranks that this one is in; None where a rank has its packs for itself."""
    return _group(size) if size > 1 else None


@functools.cache
def _group(size: int) -> SequenceGroup:
    processes, _ = distributed.new_subgroups(size)
    assert isinstance(processes, distributed.ProcessGroup), "every rank is in a group"
    return SequenceGroup(size, distributed.get_rank(processes), processes)


def check_heads(policy: Any, size: int) -> None:
    """Refuse a policy whose heads cannot be dealt out to `size` ranks.

    Raises:
        ConfigError: the query heads are no multiple, or the key-value heads neither a multiple nor a divisor of it.
    """
    config = policy.config.get_text_config()
    queries, keys = config.num_attention_heads, config.num_key_value_heads
    sizes = dealings(queries, keys)
    if size not in sizes:
        raise ConfigError(
            f"cluster.learner.sequence_parallel is {size}, but the policy's {queries} attention heads and {keys} "
            f"key-value heads cannot be dealt out evenly to {size} ranks; expected {in_words(sizes)}"
        )


@dataclass(frozen=True)
class TokenExchange:
    """Swaps the tokens of a pack for heads among the ranks of a group; `tokens` are how many each rank has."""

    group: SequenceGroup
    tokens: Sequence[int]

    def to_heads(self, states: Sequence[Tensor]) -> list[Tensor]:
        """States [1, heads, own tokens, head dim] as [1, own heads, tokens, head dim].

        Where there are fewer key-value heads than ranks, several ranks get the same one.
        """
        size = self.group.size
        dealt = [self._by_rank(one[0]) for one in states]
        sent = torch.cat(dealt, dim=1)
        _, heads, own, width = sent.shape
        received = self._swap(sent, [heads * own * width] * size, [heads * n * width for n in self.tokens])
        parts = received.split([heads * n * width for n in self.tokens])
        whole = torch.cat([part.view(heads, -1, width) for part in parts], dim=1)
        return [one[None] for one in whole.split([one.shape[1] for one in dealt])]

    def to_tokens(self, attended: Tensor) -> Tensor:
        """What was attended, [1, tokens, own heads, head dim], as [1, own tokens, heads, head dim]."""
        size, (_, _, heads, width) = self.group.size, attended.shape
        own = self.tokens[self.group.rank]
        received = self._swap(attended, [n * heads * width for n in self.tokens], [own * heads * width] * size)
        return received.view(size, own, heads, width).transpose(0, 1).reshape(1, own, size * heads, width)

    def _by_rank(self, states: Tensor) -> Tensor:
        """States [heads, own tokens, head dim] as [ranks, a rank's heads, own tokens, head dim]."""
        size = self.group.size
        if len(states) < size:
            states = states.repeat_interleave(size // len(states), dim=0)
        return states.view(size, -1, *states.shape[1:])

    def _swap(self, sent: Tensor, sending: list[int], receiving: list[int]) -> Tensor:
        """What the ranks sent this one, flat; each cuts its values into a part for every rank, in turn."""
        received: Any = _Swap.apply(sent.flatten(), sending, receiving, self.group.processes)
        return received


class _Swap(torch.autograd.Function):
    """All-to-all of flat values in parts of given sizes; gradients go back the way that the values came."""

    @staticmethod
    def forward(ctx: Any, sent: Tensor, sending: list[int], receiving: list[int], processes: Any) -> Tensor:
        ctx.way_back = receiving, sending, processes
        return _swapped(sent, sending, receiving, processes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return _swapped(gradients[0].contiguous(), *ctx.way_back), None, None, None


def _swapped(sent: Tensor, sending: list[int], receiving: list[int], processes: Any) -> Tensor:
    received = sent.new_empty(sum(receiving))
    distributed.all_to_all_single(received, sent, receiving, sending, group=processes)
    return received
