"""A reward that looks at the picture."""

from __future__ import annotations

from halyard import Sample, reward

COLOURS = {(255, 0, 0): "red", (0, 0, 255): "blue"}


@reward
def names_the_colour(sample: Sample) -> float:
    """1 if the answer is the colour of the picture's corner."""
    (image,) = sample.open_images()
    return float(sample.answer == COLOURS[image.getpixel((0, 0))])
