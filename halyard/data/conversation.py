"""Conversations as they are found in data sets: OpenAI messages or plain text, with images and videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from halyard.data.references import Unfit, parse_image, parse_video
from halyard.data.types import ImageRef, Message, Role, VideoRef

ROLES = get_args(Role)
_MARKERS = {"images": "<image>", "videos": "<video>"}
"""Where verl and others say that an image or a video belongs; what a message shows comes before its text here."""
_PARTS = ("image", "image_url", "video", "video_url")


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
    text, images, videos = _content(entry.get("content"), folder)
    images += [parse_image(value, folder) for value in _listed(entry.get("images"), "images")]
    videos += [parse_video(value, folder) for value in _listed(entry.get("videos"), "videos")]
    reasoning = entry.get("reasoning") or entry.get("reasoning_content") or None
    if reasoning is not None and not isinstance(reasoning, str):
        raise Unfit(f"a message's reasoning is {str(reasoning)[:60]!r}, expected text")
    if role == "assistant" and reasoning is None:
        reasoning, text = _split_thinking(text)
    return Message(role=role, text=text, images=tuple(images), videos=tuple(videos), reasoning=reasoning)


def _content(content: Any, folder: Path) -> tuple[str, list[ImageRef], list[VideoRef]]:
    """Text, images and videos of a message's content: plain text, or OpenAI parts."""
    if isinstance(content, str):
        return content, [], []
    if not isinstance(content, Sequence):
        raise Unfit(f"a message's content is {content!r}, expected text or a list of parts")
    texts, images, videos = [], [], []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text":
            texts.append(str(part.get("text") or ""))
        elif kind not in _PARTS:
            raise Unfit(f"a part of a message is {str(part)[:60]!r}, expected type text, {', '.join(_PARTS)}")
        elif part.get(kind) is None:
            texts.append(f"<{kind.removesuffix('_url')}>")
        elif kind.startswith("image"):
            images.append(parse_image(_url(part[kind]), folder))
        else:
            videos.append(parse_video(_url(part[kind]), folder))
    return "".join(texts), images, videos


def _url(value: Any) -> Any:
    """What is in an OpenAI part's `{url}`, or the value itself."""
    return value["url"] if isinstance(value, Mapping) and "url" in value else value


def _split_thinking(text: str) -> tuple[str | None, str]:
    """Reasoning and answer of an assistant's text that has them in one, as `<think>…</think>…`."""
    head, close, tail = text.partition("</think>")
    if not close or not head.lstrip().startswith("<think>"):
        return None, text
    return head.lstrip().removeprefix("<think>").strip(), tail.strip()


def place_images(messages: list[Message], images: Any, folder: Path) -> list[Message]:
    """The messages with a row's images: each where `<image>` stands, or all in the first user's message.

    Raises:
        Unfit: there are more or fewer markers than images, or no message of a user.
    """
    return _placed(messages, "images", [parse_image(value, folder) for value in _listed(images, "images")])


def place_videos(messages: list[Message], videos: Any, folder: Path) -> list[Message]:
    """The messages with a row's videos: each where `<video>` stands, or all in the first user's message.

    Raises:
        Unfit: there are more or fewer markers than videos, or no message of a user.
    """
    return _placed(messages, "videos", [parse_video(value, folder) for value in _listed(videos, "videos")])


def _placed(messages: list[Message], kind: str, refs: list[Any]) -> list[Message]:
    """The messages with references of a kind: `images` or `videos`."""
    marker = _MARKERS[kind]
    if not any(marker in message.text for message in messages):
        return _all_in_first(messages, kind, refs)
    rest, placed = list(refs), []
    for message in messages:
        count, own = message.text.count(marker), getattr(message, kind)
        missing = max(0, count - len(own))
        mine, rest = (*own, *rest[:missing]), rest[missing:]
        if count and len(mine) != count:
            raise Unfit(f"{count} times {marker} in a message, but {len(mine)} {kind} for it")
        text = message.text.replace(marker + "\n", "").replace(marker, "")
        changed: dict[str, Any] = {"text": text, kind: mine}
        placed.append(replace(message, **changed))
    if rest:
        raise Unfit(f"{len(refs)} {kind}, but only {len(refs) - len(rest)} times {marker} in the messages")
    return placed


def _listed(values: Any, kind: str) -> list[Any]:
    """Images or videos given as nothing, one or several, as a list."""
    if values is None:
        return []
    if isinstance(values, str | bytes | Mapping):
        return [values]
    if not isinstance(values, Sequence):
        raise Unfit(f"{kind} is {values!r}, expected a list")
    return list(values)


def _all_in_first(messages: list[Message], kind: str, refs: list[Any]) -> list[Message]:
    if not refs:
        return messages
    for i, message in enumerate(messages):
        if message.role == "user":
            changed: dict[str, Any] = {kind: (*refs, *getattr(message, kind))}
            return [*messages[:i], replace(message, **changed), *messages[i + 1 :]]
    raise Unfit(f"it has {kind}, but no message of a user to show them in")
