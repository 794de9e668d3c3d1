"""The images of a rollout's prompt, as a browser shows them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from halyard.data.images import open_image, to_data_uri
from halyard.errors import DataError
from halyard.runs.rollouts import RolloutRecord
from serving.dashboard.tokens import image_tokens

_LARGEST = 640
"""Pixels of the longer side; larger images are scaled down for the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictured:
    """The images as data URIs, and, where one cannot be shown, why."""

    images: tuple[str, ...] = ()
    missing: str = ""


def pictures(run: Path, record: RolloutRecord) -> Pictured:
    """The images of a prompt. Runs keep references to them; what they refer to may have gone."""
    if not record.images:
        lost = image_tokens(run, record.prompt_token_ids)
        return Pictured(missing="the run kept no image of this prompt" if lost else "")
    found, missing = [], ""
    for reference in record.images:
        try:
            image = open_image(reference).copy()
        except DataError as error:
            missing = str(error)
            continue
        image.thumbnail((_LARGEST, _LARGEST))
        file = io.BytesIO()
        image.save(file, "PNG")
        found.append(to_data_uri(file.getvalue(), "png"))
    return Pictured(images=tuple(found), missing=missing)
