"""Small pictures as clients send them."""

from __future__ import annotations

import base64
import io

from PIL import Image


def image_uri(colour: str = "red", size: int = 112, form: str = "PNG") -> str:
    """A square of a colour on white, as a data URI."""
    image = Image.new("RGB", (size, size), "white")
    image.paste(colour, (10, 10, size // 2, size // 2))
    file = io.BytesIO()
    image.save(file, form)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
