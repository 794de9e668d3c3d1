"""One service, started once for all tests of this folder; each leaves it as good as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from support.serving_process import Server, make_run, serving

SETTINGS = """\
engine: {max_model_len: 512, max_num_seqs: 8, kv_cache_gib: 0.25}
limits: {queue: 4, images: 2, image_megapixels: 1, body_mib: 4, choices: 8, max_tokens: 400, tokens: 3200}
dwell_seconds: 0.2
scan_seconds: 0.3
"""


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "tiny", ("01-a", "02-b"))


@pytest.fixture(scope="session")
def server(run, tmp_path_factory) -> Iterator[Server]:
    with serving(run, tmp_path_factory.mktemp("service"), settings=SETTINGS) as server:
        yield server


@pytest.fixture(scope="session")
def client(server) -> openai.OpenAI:
    return server.client()
