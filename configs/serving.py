"""How policies are served over HTTP: the engines, and the limits of what a request may ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from configs.base import Config, Count, Natural, NonNegative, Positive
from configs.cluster import EngineConfig
from configs.faults import Origins, describe, refuse
from configs.text import read_file
from halyard.errors import ConfigError


class LimitsConfig(Config):
    """What one request may ask for, and how many may wait."""

    body_mib: Positive = 32.0
    """Size of a request's body, in MiB."""
    body_seconds: Positive = 30.0
    """Time that a client may take to send its request."""
    images: Natural = 8
    """Images of one request."""
    image_mib: Positive = 8.0
    """Size of one image file, in MiB."""
    image_megapixels: Positive = 16.0
    """Width times height of one image, in millions; it is looked at before the image is decoded."""
    choices: Count = 16
    """Answers to one request (`n`, times the number of prompts)."""
    max_tokens: Count = 1024
    """Longest answer, in tokens; also what a request gets that names no length."""
    tokens: Count = 8192
    """Tokens of all answers to one request: `n` times `max_tokens`."""
    queue: Natural = 128
    """Requests that may wait for an engine; the next one is answered 429."""
    per_key: Count = 64
    """Requests that one API key may have in flight or waiting."""
    queue_seconds: Positive = 60.0
    """How long a request waits for an engine before it is answered 503."""
    request_seconds: Positive = 300.0
    """Time for one request, from its arrival to the last token."""


class ServingConfig(Config):
    """Everything that `halyard serve` can be told; `--config` reads it from a YAML file."""

    host: str = "127.0.0.1"
    """Address to listen at; anything but this machine's loopback needs API keys."""
    port: Annotated[Natural, Field(le=65535)] = 8000
    """TCP port to listen at; 0 takes a free one."""
    engine: EngineConfig = EngineConfig(max_model_len=2048, max_num_seqs=64, kv_cache_gib=0.5)
    """The engines; `count` of them can serve as many snapshots side by side."""
    adapters: Count = 4
    """LoRA adapters that an engine holds beside their base at a time."""
    adapter_rank: Literal[8, 16, 32, 64, 128, 256, 512] = 32
    """Largest rank of an adapter; engines keep room for as many adapters of it as they hold."""
    limits: LimitsConfig = LimitsConfig()
    image_hosts: tuple[str, ...] = ()
    """Hosts that images may be fetched from by http(s) URL; none allows data URIs alone."""
    dwell_seconds: NonNegative = 2.0
    """How long a snapshot in demand keeps its engine before another may take it."""
    scan_seconds: Positive = 2.0
    """How often runs are looked at for new snapshots."""
    start_seconds: Positive = 300.0
    """Time for an engine to come up, or to take new weights."""
    stall_seconds: Positive = 120.0
    """An engine with requests that gives no token for this long is started anew."""
    drain_seconds: Positive = 30.0
    """After SIGTERM, time for requests in flight to be finished."""


def load_serving(path: Path | None, given: dict[str, Any]) -> ServingConfig:
    """The settings in a YAML file, with what was given on the command line in their place.

    Raises:
        ConfigError: there is no such file, or it is wrong; the message has a line for every fault.
    """
    if path is None:
        return _valid(given, Origins({(): "command line"}), [])
    if not path.is_file():
        raise ConfigError(f"there is no file {path}; --config names a YAML file of serving settings")
    document = read_file(path)
    if not isinstance(document.value, dict):
        raise ConfigError(f"{path}: expected keys with values, such as `port: 8000`")
    places = {keys: f"{path}:{line}" for keys, line in document.lines.items()} | {(): str(path)}
    return _valid(_merged(document.value, given), Origins(places), document.faults)


def _valid(values: dict[str, Any], origins: Origins, faults: Any) -> ServingConfig:
    refuse(faults, origins)
    try:
        return ServingConfig.model_validate(values)
    except ValidationError as error:
        refuse(describe(error.errors(), ServingConfig), origins)
        raise


def _merged(values: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Values with others over them, group by group."""
    merged = dict(values)
    for key, value in given.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged
