"""Videos by reference: their frames are opened late, and within a budget."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from halyard.data.images import open_image
from halyard.data.types import ImageRef, Row, VideoRef
from halyard.errors import DataError
from model.video import Video, read_video, sample

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""What counts as a frame in a folder."""


def budgeted(row: Row, frames: int) -> Row:
    """The row with at most so many frames of each video."""
    if not any(message.videos for message in row.messages):
        return row
    return replace(
        row,
        messages=tuple(
            replace(message, videos=tuple(replace(video, budget=frames) for video in message.videos))
            for message in row.messages
        ),
    )


def open_video(ref: VideoRef) -> Video:
    """The frames that the budget takes, each with the second at which it is shown.

    Raises:
        DataError: the video or one of these frames is missing or damaged, or a folder's frames have no time.
    """
    path = None if ref.path is None else Path(ref.path)
    if path is not None and not path.is_dir():
        if ref.fps is not None:
            raise DataError(f"the video {path} is a file, which says itself when its frames are shown: leave fps out")
        return read_video(path, budget=ref.budget)
    frames = ref.frames if path is None else _in_folder(path, ref)
    chosen = sample(len(frames), ref.budget)
    seconds = [ref.seconds[number] if ref.fps is None else number / ref.fps for number in chosen]
    return Video(tuple(open_image(frames[number]) for number in chosen), tuple(seconds))


def _in_folder(path: Path, ref: VideoRef) -> tuple[ImageRef, ...]:
    """A folder's frames in the order of the numbers in their names."""
    files = [file for file in path.iterdir() if file.suffix.lower() in _ENDINGS]
    if not files:
        raise DataError(f"the folder {path} holds no frames of a video: expected images, numbered by their names")
    if ref.fps is None:
        raise DataError(f"the video {path} is a folder of frames: say how many make a second, as {{path, fps}}")
    files.sort(key=lambda file: [(int(d or -1), t) for d, t in re.findall(r"(\d+)|(\D+)", file.name)])
    return tuple(ImageRef(path=str(file)) for file in files)
