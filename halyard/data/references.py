"""How rows write images and videos down: references out of records, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from halyard.data.images import to_data_uri
from halyard.data.types import ImageRef, VideoRef

_VIDEO_KEYS = ("path", "frames", "fps", "seconds")


class Unfit(ValueError):
    """A row that cannot be used; the message is the reason, without file and row."""


def parse_image(value: Any, folder: Path) -> ImageRef:
    """A reference to an image given as path, data URI, bytes, or an object with one of these or a drawing.

    Raises:
        Unfit: it is none of them.
    """
    if isinstance(value, Mapping):
        return _from_object(value, folder)
    if isinstance(value, bytes):
        return ImageRef(uri=to_data_uri(value))
    if not isinstance(value, str) or not value:
        raise Unfit(f"an image is {str(value)[:60]!r}, expected a path, a data URI or bytes")
    if value.startswith("data:"):
        return ImageRef(uri=value)
    if value.startswith(("http://", "https://")):
        raise Unfit(f"the image {value[:80]} is on the web: save it as a file and give its path")
    return ImageRef(path=str(folder / value.removeprefix("file://")))


def _from_object(value: Mapping[str, Any], folder: Path) -> ImageRef:
    """Hugging Face's `{bytes, path}`, verl's `{image}`, and our own `{drawing}`."""
    if isinstance(value.get("drawing"), Mapping):
        return ImageRef(drawing=value["drawing"])
    for key in ("bytes", "image", "path", "uri"):
        if value.get(key) is not None:
            return parse_image(value[key], folder)
    raise Unfit(f"an image has none of drawing, bytes, image, path and uri: {str(value)[:60]!r}")


def image_record(ref: ImageRef) -> Any:
    """The image as a row writes it down."""
    return {"drawing": ref.drawing} if ref.drawing is not None else ref.path or ref.uri


def parse_video(value: Any, folder: Path) -> VideoRef:
    """A reference to a video given as a path, or as an object with path or frames and what times them.

    Raises:
        Unfit: it is none of them.
    """
    if isinstance(value, str) and value:
        value = {"path": value}
    if isinstance(value, Mapping):  # in Parquet, rows have what others have, as nothing
        value = {key: part for key, part in value.items() if part is not None}
    if not isinstance(value, Mapping) or ("path" in value) == ("frames" in value):
        raise Unfit(f"a video is {str(value)[:60]!r}, expected a path, or an object with path or frames")
    if odd := [key for key in value if key not in _VIDEO_KEYS]:
        raise Unfit(f"a video has the key {odd[0]!r}, expected {', '.join(_VIDEO_KEYS)}")
    fps, seconds = value.get("fps"), value.get("seconds")
    if fps is not None and not (_is_number(fps) and fps > 0):
        raise Unfit(f"the fps of a video is {fps!r}, expected a number above 0")
    if "path" in value:
        if seconds is not None:
            raise Unfit("a video by its path has seconds: they are of a list of frames; a folder of frames has fps")
        return VideoRef(path=_path(value["path"], folder), fps=fps)
    return VideoRef(frames=_frames(value["frames"], folder), **_timed(value["frames"], fps, seconds))


def video_record(ref: VideoRef) -> Any:
    """The video as a row writes it down; the budget is the recipe's."""
    if ref.path is not None:
        return ref.path if ref.fps is None else {"path": ref.path, "fps": ref.fps}
    record: dict[str, Any] = {"frames": [image_record(frame) for frame in ref.frames]}
    return record | ({"seconds": list(ref.seconds)} if ref.fps is None else {"fps": ref.fps})


def _path(value: Any, folder: Path) -> str:
    if not isinstance(value, str) or not value:
        raise Unfit(f"the path of a video is {str(value)[:60]!r}, expected text")
    if value.startswith(("http://", "https://", "data:")):
        raise Unfit(f"the video {value[:60]} is no file: save it, and give its path")
    return str(folder / value.removeprefix("file://"))


def _frames(values: Any, folder: Path) -> tuple[ImageRef, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str | bytes) or not values:
        raise Unfit(f"the frames of a video are {str(values)[:60]!r}, expected a list of images")
    return tuple(parse_image(value, folder) for value in values)


def _timed(frames: Sequence[Any], fps: Any, seconds: Any) -> dict[str, Any]:
    """What times the frames: as many seconds, which ascend, or a rate."""
    if (fps is None) == (seconds is None):
        raise Unfit("a video of frames has fps, or seconds for each frame: give one of the two")
    if seconds is None:
        return {"fps": fps}
    if not isinstance(seconds, Sequence) or not all(map(_is_number, seconds)) or list(seconds) != sorted(seconds):
        raise Unfit(f"the seconds of a video are {str(seconds)[:60]!r}, expected numbers that ascend")
    if len(seconds) != len(frames):
        raise Unfit(f"a video has {len(frames)} frames, but {len(seconds)} seconds")
    return {"seconds": tuple(map(float, seconds))}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
