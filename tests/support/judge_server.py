"""A real HTTP server on this machine that answers a judge's questions as a test wants it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """One answer: status, body (a dict is sent as JSON, None closes the connection), headers, seconds before it."""

    status: int = 200
    body: Any = ""
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0


@dataclass
class Server:
    """Where it listens, and what it was asked."""

    url: str
    asked: list[dict[str, Any]]
    keys: list[str | None]
    most_at_once: int = 0


def says(text: Any) -> Reply:
    """A completion with this text."""
    return Reply(body={"choices": [{"message": {"role": "assistant", "content": text}}]})


@contextmanager
def judge_server(answer: Callable[[int, str], Reply]) -> Iterator[Server]:
    """A server that answers the n-th question, counted from 0, as `answer(n, text)` says."""
    lock, over = threading.Lock(), threading.Event()
    at_once = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            nonlocal at_once
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                number = len(server.asked)
                server.asked.append(body | {"path": self.path})
                server.keys.append(self.headers.get("authorization"))
                at_once += 1
                server.most_at_once = max(server.most_at_once, at_once)
            reply = answer(number, body["messages"][0]["content"])
            over.wait(reply.pause)
            with lock:
                at_once -= 1
            self.send(reply)

        def send(self, reply: Reply) -> None:
            if reply.body is None:
                self.close_connection = True
                return
            is_json = not isinstance(reply.body, str)
            content = (json.dumps(reply.body) if is_json else reply.body).encode()
            try:
                self.send_response(reply.status)
                self.send_header("content-type", "application/json" if is_json else "text/html")
                self.send_header("content-length", str(len(content)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):
                pass

        def log_message(self, format: str, *args: Any) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Server(f"http://127.0.0.1:{http.server_address[1]}/v1", [], [])
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        over.set()
        http.shutdown()
        thread.join()
        http.server_close()
