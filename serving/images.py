"""Images of requests: from data URIs and from the hosts that an operator allows, looked at before they are decoded."""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import warnings
from collections.abc import Sequence

from PIL import Image

from configs.serving import LimitsConfig
from halyard.data.images import read_image
from model.render import ChatMessage
from serving.errors import Refusal
from serving.fetch import Fetcher
from serving.schema import ImagePart, Message, TextPart

_FORMATS = ("PNG", "JPEG", "WEBP")


class Images:
    """Turns the messages of requests into chats with decoded images."""

    def __init__(self, limits: LimitsConfig, fetcher: Fetcher) -> None:
        self._limits = limits
        self._fetcher = fetcher

    async def chat(self, messages: Sequence[Message]) -> list[ChatMessage]:
        """The turns of a chat, with their images.

        Raises:
            Refusal: there are too many images, or one is too large, broken, or from somewhere not allowed.
        """
        urls = [[part.image_url.url for part in _parts(message) if isinstance(part, ImagePart)] for message in messages]
        count = sum(map(len, urls))
        if count > self._limits.images:
            raise Refusal(
                400, f"the request has {count} images, and {self._limits.images} are allowed", param="messages"
            )
        turns = []
        for index, (message, places) in enumerate(zip(messages, urls, strict=True)):
            if message.role != "user" and places:
                raise Refusal(
                    400,
                    f"only turns of the role user can have images, and this is of {message.role}",
                    param=f"messages[{index}]",
                )
            images = [await self._image(url, f"messages[{index}]") for url in places]
            turns.append(_turn(message, tuple(images)))
        return turns

    async def _image(self, url: str, where: str) -> Image.Image:
        largest = int(self._limits.image_mib * 2**20)
        data = (
            self._from_uri(url, largest, where) if url[:5].lower() == "data:" else await self._fetcher.get(url, largest)
        )
        return await asyncio.to_thread(decode, data, self._limits.image_megapixels, where)

    def _from_uri(self, uri: str, largest: int, where: str) -> bytes:
        """The bytes in a data URI."""
        head, comma, payload = uri.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise Refusal(400, "expected an image as data:image/png;base64,... (or jpeg, webp)", param=where)
        if len(payload) * 3 // 4 > largest + 3:
            raise too_large(len(payload) * 3 // 4, largest, where)
        try:
            return base64.b64decode(payload, validate=True)
        except (binascii.Error, ValueError):
            raise Refusal(400, "the image's data URI is not base64", param=where) from None


def decode(data: bytes, megapixels: float, where: str) -> Image.Image:
    """The image in a PNG, JPEG or WebP file, as training would read it; too large ones are not decoded.

    Raises:
        Refusal: it is of another format, too large, or broken.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit is above ours
            width, height = Image.open(io.BytesIO(data), formats=_FORMATS).size
        if width * height > megapixels * 1e6:
            message = f"the image has {width} x {height} pixels, and {megapixels:g} million are allowed; scale it down"
            raise Refusal(400, message, param=where, code="image_too_large")
        return read_image(data, where)
    except Refusal:
        raise
    except Exception as error:  # Pillow's decoders raise whatever broken files lead them to
        expected = ", ".join(_FORMATS)
        message = f"the image cannot be read ({type(error).__name__}); expected a whole file of one of {expected}"
        raise Refusal(400, message, param=where, code="invalid_image") from None


def too_large(size: int, largest: int, where: str) -> Refusal:
    """The refusal of an image file of so many bytes."""
    message = f"the image has {size / 2**20:.1f} MiB, and {largest / 2**20:g} are allowed"
    return Refusal(400, message, param=where, code="image_too_large")


def _parts(message: Message) -> list[TextPart | ImagePart]:
    return message.content if isinstance(message.content, list) else []


def _turn(message: Message, images: tuple[Image.Image, ...]) -> ChatMessage:
    """A turn as the policy's renderer takes it: images first, then the text."""
    texts = [part.text for part in _parts(message) if isinstance(part, TextPart)]
    text = message.content if isinstance(message.content, str) else "\n".join(texts)
    role = "system" if message.role == "developer" else message.role
    reasoning = message.reasoning_content if role == "assistant" else None
    return ChatMessage(role=role, text=text, images=images, reasoning=reasoning)
