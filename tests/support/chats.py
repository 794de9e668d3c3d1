"""Chats that tests send to a service over the tiny run, and waiting for what they bring about."""

from __future__ import annotations

import time
from collections.abc import Callable

QUESTION = [{"role": "user", "content": "How many red circles are there?"}]


def with_image(uri: str) -> list[dict]:
    """A question about an image."""
    parts = [{"type": "image_url", "image_url": {"url": uri}}, {"type": "text", "text": "How many?"}]
    return [{"role": "user", "content": parts}]


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Return when the condition holds, which it must within some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
