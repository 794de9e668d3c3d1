"""The page beside the API: one application whose paths at the page are NiceGUI's, and all others FastAPI's.

NiceGUI has one application a process. It is set up once; which service a page belongs to travels with the request.
"""

from __future__ import annotations

from functools import cache

from fastapi import FastAPI
from nicegui import app, ui
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.dashboard import page
from serving.dashboard.view import Desk
from serving.gate import is_of_page

_FAVICON = page.MARK.replace("var(--accent)", "#0b7285").replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')


class Front:
    """Sends what is of the page to it, and the rest to the API; starts and stops the page with the server."""

    def __init__(self, api: ASGIApp, desk: Desk) -> None:
        self._api = api
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, by whoever it is for."""
        if scope["type"] == "lifespan" or is_of_page(scope["path"]):
            await _pages()({**scope, "desk": self._desk}, receive, send)
        else:
            await self._api(scope, receive, send)


@cache
def _pages() -> ASGIApp:
    """NiceGUI's application, told once what it has to know.

    `run_with` wants a host to mount it on, whose start would look through all objects of the process for a server;
    the application is used without that host, and starts by itself.
    """
    ui.run_with(
        FastAPI(),
        favicon=_FAVICON,
        dark=None,
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=10.0,
        show_welcome_message=False,
    )
    return app
