"""Conversations as they are found in data sets: OpenAI messages, plain text, images in many forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from halyard.data.images import to_data_uri
from halyard.data.types import ImageRef, Message, Role

ROLES = get_args(Role)
MARKER = "<image>"
"""Where verl and others say that an image belongs; the images of a message come before its text here."""


class Unfit(ValueError):
    """A row that cannot be used; the message is the reason, without file and row."""


def parse_messages(conversation: Any, folder: Path) -> list[Message]:
    """The messages of a conversation: a list of `{role, content}`, or plain text as one user's message.

    Raises:
        Unfit: it is empty, or not a conversation.
    """
    if isinstance(conversation, str):
        conversation = [{"role": "user", "content": conversation}]
    if not isinstance(conversation, Sequence) or isinstance(conversation, bytes):
        raise Unfit(f"the conversation is {str(conversation)[:60]!r}, expected a list of messages or text")
    messages = [_message(entry, folder) for entry in conversation]
    if not messages:
        raise Unfit("the conversation is empty")
    return messages


def _message(entry: Any, folder: Path) -> Message:
    if not isinstance(entry, Mapping):
        raise Unfit(f"a message is {str(entry)[:60]!r}, expected an object with role and content")
    role: Any = entry.get("role")
    if role not in ROLES:
        raise Unfit(f"a message has the role {role!r}, expected one of {', '.join(ROLES)}")
    text, images = _content(entry.get("content"), folder)
    images += [parse_image(value, folder) for value in _listed(entry.get("images"))]
    reasoning = entry.get("reasoning") or entry.get("reasoning_content") or None
    if reasoning is not None and not isinstance(reasoning, str):
        raise Unfit(f"a message's reasoning is {str(reasoning)[:60]!r}, expected text")
    if role == "assistant" and reasoning is None:
        reasoning, text = _split_thinking(text)
    return Message(role=role, text=text, images=tuple(images), reasoning=reasoning)


def _content(content: Any, folder: Path) -> tuple[str, list[ImageRef]]:
    """Text and images of a message's content: plain text, or OpenAI parts."""
    if isinstance(content, str):
        return content, []
    if not isinstance(content, Sequence):
        raise Unfit(f"a message's content is {content!r}, expected text or a list of parts")
    texts, images = [], []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text":
            texts.append(str(part.get("text") or ""))
        elif kind == "image_url":
            url = part.get("image_url")
            images.append(parse_image(url.get("url") if isinstance(url, Mapping) else url, folder))
        elif kind == "image" and part.get("image") is not None:
            images.append(parse_image(part["image"], folder))
        elif kind == "image":
            texts.append(MARKER)
        else:
            raise Unfit(f"a part of a message is {str(part)[:60]!r}, expected type text, image or image_url")
    return "".join(texts), images


def _split_thinking(text: str) -> tuple[str | None, str]:
    """Reasoning and answer of an assistant's text that has them in one, as `<think>…</think>…`."""
    head, close, tail = text.partition("</think>")
    if not close or not head.lstrip().startswith("<think>"):
        return None, text
    return head.lstrip().removeprefix("<think>").strip(), tail.strip()


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


def place_images(messages: list[Message], images: Any, folder: Path) -> list[Message]:
    """The messages with a row's images: each where `<image>` stands, or all in the first user's message.

    Raises:
        Unfit: there are more or fewer markers than images, or no message of a user.
    """
    refs = [parse_image(value, folder) for value in _listed(images)]
    if not any(MARKER in message.text for message in messages):
        return _all_in_first(messages, refs)
    rest, placed = list(refs), []
    for message in messages:
        count = message.text.count(MARKER)
        missing = max(0, count - len(message.images))
        mine, rest = (*message.images, *rest[:missing]), rest[missing:]
        if count and len(mine) != count:
            raise Unfit(f"{count} times {MARKER} in a message, but {len(mine)} images for it")
        text = message.text.replace(MARKER + "\n", "").replace(MARKER, "")
        placed.append(replace(message, text=text, images=mine))
    if rest:
        raise Unfit(f"{len(refs)} images, but only {len(refs) - len(rest)} times {MARKER} in the messages")
    return placed


def _listed(images: Any) -> list[Any]:
    """Images given as nothing, one or several, as a list."""
    if images is None:
        return []
    if isinstance(images, str | bytes | Mapping):
        return [images]
    if not isinstance(images, Sequence):
        raise Unfit(f"images is {images!r}, expected a list")
    return list(images)


def _all_in_first(messages: list[Message], refs: list[ImageRef]) -> list[Message]:
    if not refs:
        return messages
    for i, message in enumerate(messages):
        if message.role == "user":
            first = replace(message, images=(*refs, *message.images))
            return [*messages[:i], first, *messages[i + 1 :]]
    raise Unfit("it has images, but no message of a user to show them in")
