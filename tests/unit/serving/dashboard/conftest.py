"""The page in this process, without a browser and without a vLLM, over a run that is over."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from nicegui import Client, app
from nicegui.testing import User
from support.served import HeldEngine
from support.watched_run import watched_run

from configs.serving import ServingConfig
from serving.dashboard.front import Front
from serving.dashboard.view import Desk
from serving.gate import Gate
from serving.keys import Keys
from serving.service import Service

CONSUMER, OPERATOR = "sk-consumer-0123456789", "sk-operator-0123456789"
Open = Callable[..., User]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished run, `mine`."""
    root = tmp_path_factory.mktemp("runs")
    watched_run(root)
    return root


@pytest.fixture(scope="module", autouse=True)
def simulated() -> Iterator[None]:
    """NiceGUI knows that no browser will come."""
    os.environ["NICEGUI_USER_SIMULATION"] = "true"
    yield
    del os.environ["NICEGUI_USER_SIMULATION"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(folder: Path) -> AsyncIterator[Service]:
    """A service over the run, whose engines hold snapshots without serving them."""
    engines = [HeldEngine("engine-0"), HeldEngine("engine-1")]
    service = Service([folder / "mine"], folder / "state", engines, ServingConfig())
    await service.start()
    yield service
    await service.close()


@pytest.fixture(scope="module")
def key_file(folder: Path) -> Path:
    """A consumer's and an operator's key."""
    path = folder / "keys"
    path.write_text(f"reader consume {CONSUMER}\nops consume,operate {OPERATOR}\n")
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visitor(service: Service) -> AsyncIterator[Open]:
    """Makes someone who opens the page of the service, which may have keys."""

    def make(keys: Keys | None = None) -> User:
        front = Front(FastAPI(), Desk(service=service, keys=keys))
        gate = Gate(front, keys=keys, limits=service.config.limits, ended=service.ended)
        return User(AsyncClient(transport=ASGITransport(gate), base_url="http://127.0.0.1"))

    make()
    async with _started():
        yield make
        for client in list(Client.instances.values()):
            client.delete()  # as if everyone had closed the page


@asynccontextmanager
async def _started() -> AsyncIterator[None]:
    from serving.dashboard import front

    front._pages()
    async with app.router.lifespan_context(app):
        yield
