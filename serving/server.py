"""The process of a service: its environment, its web server, and its end.

SIGTERM or Ctrl-C: no longer ready, new requests are refused with 503, those in flight are finished within
`drain_seconds`, and the process ends with 0. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from configs.serving import ServingConfig
from halyard.cluster import processes
from halyard.cluster.origin import check_origin
from halyard.errors import ConfigError
from serving.engine import Engine, set_environment
from serving.keys import Keys, is_loopback
from serving.listening import Server
from serving.logs import log_to
from serving.service import Service

log = logging.getLogger("halyard.serving")

_HEADER_SECONDS = 20.0
_LAST_SECONDS = 5.0
_BACKLOG = 2048


def serve(paths: Sequence[Path], state: Path, config: ServingConfig, key_file: Path | None) -> None:
    """Serve until a signal ends it.

    Raises:
        ConfigError: the settings do not allow it: nothing was started.
    """
    keys = Keys(key_file) if key_file else None
    check_binding(config.host, keys)
    log_file = state / "logs" / "engines.log"
    with _listener(config.host, config.port) as listener, _threads() as executor:
        engines = [Engine(index, config, executor, log_file) for index in range(config.engine.count)]
        service = Service(paths, state, engines, config)
        check_origin()
        processes.sweep()
        set_environment(config)
        log_to(os.fdopen(os.dup(1), "w", buffering=1))
        processes.send_output_to(log_file)
        try:
            uvloop.run(_run(service, keys, listener, config))
        finally:
            _end_children()  # an engine may just be starting: without its process, its thread ends at once


def check_binding(host: str, keys: Keys | None) -> None:
    """Nothing, when a service may listen at an address.

    Raises:
        ConfigError: it is not loopback, and there are no keys.
    """
    if keys is None and not is_loopback(host):
        raise ConfigError(
            f"--host {host} can be reached from other machines, and there are no API keys: anyone could use and change "
            "what is served. Give --api-keys FILE, or listen at 127.0.0.1"
        )


@contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens, before anything slow is done."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(f"cannot listen at {host}:{port}: {error.strerror or error}; choose another --port") from None
    with listener:
        yield listener


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """The thread in which engines are started: their processes die with it, so it lasts as long as the service."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="engines")
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


async def _run(service: Service, keys: Keys | None, listener: socket.socket, config: ServingConfig) -> None:
    from serving.app import make_app  # imports vLLM, which takes seconds: what is wrong with the paths is told before

    app = make_app(service, keys)
    settings = uvicorn.Config(
        app,
        http=_Protocol,
        lifespan="on",  # the dashboard has one
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(_LAST_SECONDS),
    )
    server = Server(settings)  # on a signal the service drains first
    await service.start()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    host, port = listener.getsockname()[:2]
    log.info("listening at http://%s:%d", f"[{host}]" if ":" in host else host, port)
    asked = _on_signals()
    ended = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
        await _drain(service, config.drain_seconds)
    finally:
        server.should_exit = True
        ended.cancel()
        await asyncio.gather(serving, ended, return_exceptions=True)
        await service.close()
        log.info("stopped")


async def _drain(service: Service, seconds: float) -> None:
    """Refuse new requests and return when none is left, or the time is over."""
    service.draining = True
    log.info("stopping: %d requests are finished first, for at most %g s", service.busy, seconds)
    try:
        async with asyncio.timeout(seconds):
            while service.busy:
                await asyncio.sleep(0.05)
    except TimeoutError:
        log.warning("%d requests were not finished in time", service.busy)


def _on_signals() -> asyncio.Event:
    """An event for the first signal; the second ends the process at once."""
    asked = asyncio.Event()

    def on_signal() -> None:
        if asked.is_set():
            _end_children()
            os._exit(130)
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return asked


def _end_children() -> None:
    for child in processes.family(os.getpid())[1:]:
        processes.kill_tree(child)


class _Protocol(HttpToolsProtocol):
    """Connections that must send the head of their first request within a time, or are closed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(transport)
        self._late = self.loop.call_later(_HEADER_SECONDS, self._close_if_silent)

    def on_headers_complete(self) -> None:
        """The head of a request is there."""
        self._late.cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._late.cancel()
        super().connection_lost(exc)

    def _close_if_silent(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
