"""A reward for benchmarks: cheap, and different within almost every group."""

from halyard import Sample, reward


@reward
def odd_digits(sample: Sample) -> float:
    """1 when the response has an odd number of characters."""
    return float(len(sample.response) % 2)
