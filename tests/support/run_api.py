"""The routes of runs behind their gate, over a folder of runs and without engines."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI
from starlette.responses import JSONResponse

from configs.serving import LimitsConfig
from serving.errors import Refusal
from serving.gate import Gate
from serving.keys import Keys
from serving.repeats import Repeats
from serving.routes import events, runs
from serving.runs import Runs

CONSUMER, OPERATOR = "sk-consumer-0123456789", "sk-operator-0123456789"


def make_app(root: Path, folder: Path) -> Gate:
    """The application over the runs in `root`; its keys lie in `folder`."""
    (folder / "keys").write_text(f"alice consume {CONSUMER}\nops operate {OPERATOR}\n")
    app = FastAPI()
    app.state.service = SimpleNamespace(runs=Runs(root, {}), repeats=Repeats(), draining=False)
    for router in (events.router, runs.read, runs.write):
        app.include_router(router)
    app.add_exception_handler(Refusal, _refused)
    return Gate(app, keys=Keys(folder / "keys"), limits=LimitsConfig(), ended=lambda exchange, route: None)


async def _refused(request: Any, error: Any) -> JSONResponse:
    return JSONResponse(error.body, status_code=error.status)


class Client:
    """A client in the same process, with the key of an operator unless told otherwise."""

    def __init__(self, app: Gate) -> None:
        self._app = app

    async def __call__(self, method: str, path: str, *, key: str = OPERATOR, **given: Any) -> httpx2.Response:
        """The answer to one request."""
        transport = httpx2.ASGITransport(app=self._app)
        headers = {"authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://here/v1", headers=headers) as client:
            return await client.request(method, path, **given)


@contextmanager
def listening(app: Gate) -> Iterator[str]:
    """The address at which the application answers over HTTP."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
