"""Videos as frames with timestamps: which frames a budget takes, and reading them from a file."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageSequence, UnidentifiedImageError

from halyard.errors import DataError

FRAMES = 16
"""Source: the report's evaluation on video (Table 9) samples 16 frames."""
DAMAGES = (OSError, ValueError, SyntaxError, EOFError, zlib.error, struct.error)
"""What Pillow raises of damaged files. It lets the errors of its decoders through: zlib and struct for damaged PNGs,
SyntaxError for broken headers."""


@dataclass(frozen=True, slots=True)
class Video:
    """Frames of a video in order, with the second at which each is shown."""

    frames: tuple[Image.Image, ...]
    seconds: tuple[float, ...]


def sample(count: int, budget: int) -> list[int]:
    """Numbers of at most `budget` of `count` frames: the middle ones of equal parts; all where they are few.

    >>> sample(100, 4)
    [12, 37, 62, 87]
    >>> sample(3, 16)
    [0, 1, 2]
    """
    if count <= budget:
        return list(range(count))
    return [(2 * part + 1) * count // (2 * budget) for part in range(budget)]


def read_video(path: Path, *, budget: int = FRAMES) -> Video:
    """At most `budget` frames of a video file, evenly over its length: an animated GIF, WebP or PNG, or a film.

    Raises:
        DataError: the file is missing or holds nothing that can be read as frames; for films OpenCV has to be there.
    """
    if not path.is_file():
        raise DataError(f"there is no video {path}")
    try:
        with Image.open(path) as image:
            return _of_animation(image, budget)
    except UnidentifiedImageError:
        return _of_film(path, budget)
    except (Image.DecompressionBombError, *DAMAGES) as error:
        raise DataError(f"the frames of {path} cannot be read: {error}") from error


def _of_animation(image: Image.Image, budget: int) -> Video:
    chosen = set(sample(getattr(image, "n_frames", 1), budget))
    frames, seconds, now = [], [], 0.0
    for number, frame in enumerate(ImageSequence.Iterator(image)):
        frame.load()  # some formats say only then how long it is shown
        if number in chosen:
            frames.append(frame.convert("RGBA" if "transparency" in frame.info else "RGB"))
            seconds.append(now)
        now += frame.info.get("duration", 0) / 1000
    return Video(tuple(frames), tuple(seconds))


def _of_film(path: Path, budget: int) -> Video:
    try:
        import cv2
    except ImportError as error:
        raise DataError(
            f"{path} is no animated image, and films need OpenCV: install opencv-python-headless"
        ) from error
    film = cv2.VideoCapture(str(path))
    try:
        count, rate = int(film.get(cv2.CAP_PROP_FRAME_COUNT)), film.get(cv2.CAP_PROP_FPS)
        if not film.isOpened() or count <= 0 or rate <= 0:
            raise DataError(f"{path} is no video that can be read: expected a film, or an animated GIF, WebP or PNG")
        frames, seconds = [], []
        for number in sample(count, budget):
            film.set(cv2.CAP_PROP_POS_FRAMES, number)
            found, pixels = film.read()
            if found:  # the container may promise more frames than it has
                frames.append(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)))
                seconds.append(number / rate)
    finally:
        film.release()
    if not frames:
        raise DataError(f"{path} has no frame that can be read")
    return Video(tuple(frames), tuple(seconds))
