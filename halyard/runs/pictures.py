"""The images of prompts beside the rollouts: those that no file holds are kept once, by their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from halyard.data.images import from_data_uri
from halyard.data.types import ImageRef
from halyard.durable import replaced


def keep(images: Sequence[ImageRef], stage: Path) -> str:
    """References to the images as JSON; a data URI becomes a file under `images/` of the stage's folder."""
    return json.dumps([asdict(_filed(image, stage)) for image in images])


def found(kept: str | None, stage: Path) -> tuple[ImageRef, ...]:
    """The images that `keep` wrote down, wherever the run's folder lies now."""
    images = [ImageRef(**fields) for fields in json.loads(kept or "[]")]
    return tuple(replace(one, path=str(stage / one.path)) if one.path else one for one in images)


def _filed(image: ImageRef, stage: Path) -> ImageRef:
    if image.uri is None:
        return image
    content = from_data_uri(image.uri)
    name = f"images/{hashlib.sha256(content).hexdigest()}"
    target = stage / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with replaced(target) as temporary:
            temporary.write_bytes(content)
    return ImageRef(path=name)
