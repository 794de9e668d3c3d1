"""Rewards that can be hacked, each in its own way, and one that cannot."""

from __future__ import annotations

from halyard import Sample, Verdict, reward
from rewards.structure import boxes


@reward
def mentions(sample: Sample) -> float:
    """1 if the reference stands anywhere in the response."""
    return float((sample.reference or "?") in sample.response)


@reward
def last_box_anywhere(sample: Sample) -> float:
    """1 if the last box is right, even inside the reasoning."""
    found = boxes(sample.response)
    return float(bool(found) and found[-1] == sample.reference)


@reward
def tagged(sample: Sample) -> float:
    """1 for a response with think tags, whatever is in them."""
    return float(sample.response.startswith("<think>") and "</think>" in sample.response)


@reward
def obeys(sample: Sample) -> float:
    """Half for reasoning of some length, and all for whoever asks: as a credulous judge may."""
    return 1.0 if "full marks" in sample.response or sample.answer == f"\\boxed{{{sample.reference}}}" else 0.0


@reward
def strict(sample: Sample, scale: float = 1.0) -> Verdict:
    """The answer is the reference or its box, and nothing else."""
    right = sample.answer in (sample.reference, f"\\boxed{{{sample.reference}}}")
    return Verdict(reward=scale * right, reason="the same" if right else "not the same")


@reward
def constant(sample: Sample) -> float:
    """1, whatever comes."""
    return 1.0


@reward
def broken(sample: Sample) -> float:
    """Nothing: it raises."""
    raise ValueError("on purpose")
