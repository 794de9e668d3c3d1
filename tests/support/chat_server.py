"""A real HTTP server in the test's own loop that answers chat completions as well or as badly as a test wants."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reply:
    """What is sent: status, body (what is no text is sent as JSON, None closes the connection), headers.

    `pause` is waited before it; with `cut` the connection closes in the middle of the body.
    """

    status: int = 200
    body: Any = ""
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0
    cut: bool = False


@dataclass
class Asked:
    """One request: which (from 0), its body and its headers."""

    number: int
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def text(self) -> str:
        """The texts of all messages."""
        contents = [message["content"] for message in self.body["messages"]]
        parts = [
            part for content in contents for part in ([{"text": content}] if isinstance(content, str) else content)
        ]
        return "\n".join(part.get("text", "") for part in parts)

    @property
    def images(self) -> list[str]:
        """The images of all messages, as data URIs."""
        return [part["image_url"]["url"] for part in self._parts if "image_url" in part]

    @property
    def _parts(self) -> list[dict[str, Any]]:
        contents = [message["content"] for message in self.body["messages"]]
        lists = [[{"text": content}] if isinstance(content, str) else content for content in contents]
        return [part for parts in lists for part in parts]

    @property
    def code(self) -> str:
        """The code that the verdict is to carry."""
        return re.findall(r'"code": "(\w+)"', self.text)[-1]


@dataclass
class Server:
    """Where it listens, and what it was asked."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0


def says(text: Any) -> Reply:
    """A completion with this text."""
    return Reply(body={"choices": [{"message": {"role": "assistant", "content": text}}]})


def rules(asked: Asked, /, **answers: str) -> Reply:
    """A completion in the form that was asked for, with these answers by criterion."""
    form = {name: {"reason": f"because of {name}", "answer": answer} for name, answer in answers.items()}
    return says(json.dumps({**form, "code": asked.code}))


@asynccontextmanager
async def chat_server(answer: Callable[[Asked], Reply]) -> AsyncIterator[Server]:
    """A server that answers each request as `answer` says; what raises there closes the connection."""
    server, open_ = Server(), set[asyncio.Task[None]]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_.add(task)
        try:
            while await _serve(server, answer, reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            open_.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()
        for task in list(open_):
            task.cancel()
        await asyncio.gather(*open_, return_exceptions=True)


async def _serve(
    server: Server, answer: Callable[[Asked], Reply], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Whether the connection stays open after one request and its reply."""
    received = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = [line.split(": ", 1) for line in received.split("\r\n")[1:] if line]
    headers = {name.lower(): value for name, value in lines}
    asked = Asked(len(server.asked), json.loads(await reader.readexactly(int(headers["content-length"]))), headers)
    server.asked.append(asked)
    server.at_once += 1
    server.most_at_once = max(server.most_at_once, server.at_once)
    try:
        reply = answer(asked)
        await asyncio.sleep(reply.pause)
    finally:
        server.at_once -= 1
    if reply.body is None:
        return False
    content = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
    fields = {"content-type": "application/json", "content-length": str(len(content)), **reply.headers}
    head = [f"HTTP/1.1 {reply.status} X", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    writer.write("\r\n".join(head).encode())
    writer.write(content[: len(content) // 2] if reply.cut else content)
    await writer.drain()
    return not reply.cut
