"""Contradictions within the rewards of a stage: weights that count nothing, penalties that nothing can earn."""

from __future__ import annotations

from collections.abc import Iterator

from configs.faults import Fault
from configs.rewards import MinTerm, OverlongTerm, ProductTerm, RewardsConfig, SumTerm, Term, all_terms, below
from configs.schema import KeyPath


def contradictions(path: KeyPath, rewards: RewardsConfig, max_tokens: int) -> Iterator[Fault]:
    """The faults of a stage's rewards, whose key path is given; `max_tokens` bounds its responses."""
    if not any(term.weight for term in rewards.terms):
        yield Fault((*path, "terms"), "all have weight 0: every reward would be 0")
    for keys, term in all_terms(rewards.terms):
        where = (*path, *keys)
        yield from _weights(where, term)
        if isinstance(term, OverlongTerm) and term.longest - term.buffer >= max_tokens:
            message = f"is {term.longest}: with buffer {term.buffer} no response of {max_tokens} tokens is penalised"
            yield Fault((*where, "longest"), f"{message} (sampling.max_tokens)")


def _weights(path: KeyPath, term: Term) -> Iterator[Fault]:
    """Weights count in sums; in a product or minimum, 0 only records."""
    parts = [(keys, part) for keys, part in below(term) if keys]
    records = isinstance(term, SumTerm | ProductTerm | MinTerm)
    if records and not any(part.weight for _, part in parts):
        yield Fault((*path, "terms"), "all have weight 0: there would be nothing to put together")
    for keys, part in parts if not isinstance(term, SumTerm) else ():
        if part.weight != 1 and not (records and part.weight == 0):
            expected = "1, or 0 to record it only" if records else "1"
            message = f"is {part.weight:g}, expected {expected}: weights count in a sum alone"
            yield Fault((*path, *keys, "weight"), message)
