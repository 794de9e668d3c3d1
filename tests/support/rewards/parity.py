"""A reward that even a random policy earns half of the time, so that tiny runs have something to learn."""

from halyard import Sample, reward


@reward
def odd_length(sample: Sample, bonus: float = 0.0) -> float:
    """1 (and a bonus) when the response has an odd number of characters."""
    return (1.0 + bonus) if len(sample.response) % 2 else 0.0
