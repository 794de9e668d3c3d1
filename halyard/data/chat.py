"""From carriers to what the renderer reads: the same turns, with their images and videos opened."""

from __future__ import annotations

from collections.abc import Sequence

from halyard.data.images import open_image
from halyard.data.types import Message
from halyard.data.videos import open_video
from model.render import ChatMessage


def to_chat(messages: Sequence[Message]) -> list[ChatMessage]:
    """The conversation with its images and videos opened, ready for `Renderer.prompt` or `.conversation`.

    Raises:
        DataError: one of them cannot be opened.
    """
    return [
        ChatMessage(
            role=message.role,
            text=message.text,
            images=tuple(open_image(ref) for ref in message.images),
            reasoning=message.reasoning,
            videos=tuple(open_video(ref) for ref in message.videos),
        )
        for message in messages
    ]
