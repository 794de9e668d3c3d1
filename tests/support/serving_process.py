"""`halyard serve` as a user runs it, over a run of tiny policies that differ in every weight."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import psutil
import torch
from safetensors.torch import load_file, save_file
from support.commands import HALYARD, ROOT

from model.build import build
from model.snapshot import write_manifest

CONSUMER, OPERATOR = "sk-consumer-0123456789", "sk-operator-0123456789"


def make_run(path: Path, versions: tuple[str, ...]) -> Path:
    """A run with snapshots of one architecture, each with weights of its own."""
    build("nano", path / "models" / "policy", seed=0)
    (path / "recipe.json").write_text("{}")
    for index, version in enumerate(versions):
        add_snapshot(path, version, seed=index)
    return path


def add_snapshot(run: Path, version: str, *, seed: int, scale: float = 0.3) -> Path:
    """One more snapshot of a run, `scale` standard deviations away from the others; it appears whole."""
    unfinished, folder = run / f".{version}", run / "snapshots" / version
    subprocess.run(["cp", "-r", run / "models" / "policy", unfinished], check=True)
    generator = torch.Generator().manual_seed(seed)
    file = unfinished / "model.safetensors"
    changed = {name: _shaken(tensor, generator, scale) for name, tensor in load_file(file).items()}
    save_file(changed, file, metadata={"format": "pt"})
    write_manifest(unfinished, version=version, parent=None, lineage={"run": run.name, "role": "policy"})
    folder.parent.mkdir(exist_ok=True)
    unfinished.rename(folder)
    return folder


def _shaken(tensor: torch.Tensor, generator: torch.Generator, scale: float) -> torch.Tensor:
    if tensor.numel() < 2:
        return tensor
    return tensor + scale * tensor.std() * torch.randn(tensor.shape, generator=generator)


@dataclass
class Server:
    """A service that runs."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    state: Path

    def client(self, key: str = CONSUMER, retries: int = 0) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=retries, timeout=120)

    def async_client(self, key: str = CONSUMER, retries: int = 0) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=retries, timeout=120)

    def ask(self, method: str, path: str, key: str | None = OPERATOR, **options: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx2.request(method, f"{self.url}{path}", headers=headers | options.pop("headers", {}), **options)

    def engines(self) -> dict[str, Any]:
        return self.ask("GET", "/v1/engines").json()

    def engine_pids(self) -> list[int]:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child.pid for child in children if "EngineCore" in " ".join(child.cmdline())]

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextlib.contextmanager
def serving(run: Path, folder: Path, *, settings: str = "") -> Iterator[Server]:
    """A service over a run, ready, with a key for consumers and one for operators; it is ended with the block."""
    (folder / "keys").write_text(f"consumer consume {CONSUMER}\noperator consume,operate {OPERATOR}\n")
    (folder / "serving.yaml").write_text(settings or "{}\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [*HALYARD, "serve", str(run), "--port", str(port), "--api-keys", str(folder / "keys")]
    command += ["--config", str(folder / "serving.yaml"), "--state", str(folder / "state")]
    log = folder / "service.log"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out, start_new_session=True)
    server = Server(process, f"http://127.0.0.1:{port}", log, folder / "state")
    try:
        _wait_ready(server)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


def _wait_ready(server: Server, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the service ended with {server.process.returncode}:\n{server.log.read_text()}")
        with contextlib.suppress(httpx2.HTTPError):
            if server.ask("GET", "/readyz", key=None).status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"the service was not ready within {seconds:.0f} s:\n{server.log.read_text()}")
