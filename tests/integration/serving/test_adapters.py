"""A LoRA adapter is a snapshot like any other: asked for by name, over its base, beside requests to the base itself.

What it should say comes from a snapshot of its base's weights with the adapter's products added to them. The run has
both; the engine, one, takes the one as an adapter and the other as new weights.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from support.adapters import merge, write_adapter
from support.chats import QUESTION, wait_until, with_image
from support.pictures import image_uri
from typer.testing import CliRunner

from halyard.cli.main import app
from model.snapshot import write_manifest

TOLERANCE = 1e-4
"""Nats, in float32."""
PATIENCE = 60.0
ADAPTED, OTHER, MERGED, LARGE = "01-a-lora", "01-a-other", "01-a-merged", "01-a-large"


@pytest.fixture(scope="module")
def adapters(server, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two adapters over the snapshot 01-a, one too large, and what the first makes of it as whole weights."""
    base, made = run / "snapshots" / "01-a", tmp_path_factory.mktemp("peft")
    for seed, (version, rank) in enumerate([(ADAPTED, 4), (OTHER, 8), (LARGE, 64)], start=1):
        write_adapter(made / version, base, rank=rank, seed=seed)
        command = ["snapshot", "adopt", str(made / version), "--base", str(base), "-o", str(base.with_name(version))]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    unfinished = run / f".{MERGED}"
    shutil.copytree(base, unfinished, ignore=shutil.ignore_patterns("manifest.json"))
    weights = merge(load_file(base / "model.safetensors"), made / ADAPTED)
    save_file(weights, unfinished / "model.safetensors", metadata={"format": "pt"})
    write_manifest(unfinished, version=MERGED, parent="01-a", lineage={"run": run.name, "role": "policy"})
    unfinished.rename(base.with_name(MERGED))
    names = {f"tiny@{version}" for version in (ADAPTED, OTHER, MERGED, LARGE)}
    wait_until(lambda: names <= listed(server).keys(), PATIENCE)
    yield
    for version in (ADAPTED, OTHER, MERGED, LARGE):
        shutil.rmtree(base.with_name(version))
    wait_until(lambda: not names & listed(server).keys(), PATIENCE)


def listed(server) -> dict[str, Any]:
    return {one["id"]: one for one in server.ask("GET", "/v1/models").json()["data"]}


def asked(model: str, messages: list[dict[str, Any]], *, seed: int = 3) -> dict[str, Any]:
    options = {"seed": seed, "max_tokens": 24, "logprobs": True}
    return {"model": model, "messages": messages, **options, "extra_body": {"return_tokens_as_token_ids": True}}


def said(answer: Any) -> tuple[list[str], list[float]]:
    entries = answer.choices[0].logprobs.content
    return [entry.token for entry in entries], [entry.logprob for entry in entries]


@pytest.mark.usefixtures("adapters")
@pytest.mark.parametrize("pictured", [False, True])
def test_an_adapter_says_what_its_base_with_the_product_merged_in_says(client, pictured) -> None:
    messages = with_image(image_uri()) if pictured else QUESTION
    answers = {
        version: client.chat.completions.create(**asked(f"tiny@{version}", messages))
        for version in ("01-a", ADAPTED, MERGED)
    }
    tokens, logprobs = said(answers[ADAPTED])
    assert tokens == said(answers[MERGED])[0]
    assert logprobs == pytest.approx(said(answers[MERGED])[1], abs=TOLERANCE)
    assert tokens != said(answers["01-a"])[0]
    for version, answer in answers.items():
        assert answer.model == f"tiny@{version}"
        assert answer.system_fingerprint.startswith(f"tiny@{version}:")
    assert len({answer.system_fingerprint for answer in answers.values()}) == 3


@pytest.mark.usefixtures("adapters")
async def test_requests_switch_between_a_base_and_its_adapters_without_new_weights(server) -> None:
    """All at once, in one engine; each answer is the one that its version gives alone."""
    client = server.async_client()
    versions = ("01-a", ADAPTED, OTHER)
    alone = {
        version: said(await client.chat.completions.create(**asked(f"tiny@{version}", QUESTION, seed=9)))
        for version in versions
    }
    assert len({tuple(tokens) for tokens, _ in alone.values()}) == 3
    before = server.engines()["swaps"]
    names = [version for _ in range(2) for version in versions]
    answers = await asyncio.gather(
        *(client.chat.completions.create(**asked(f"tiny@{version}", QUESTION, seed=9)) for version in names)
    )
    for version, answer in zip(names, answers, strict=True):
        assert answer.model == f"tiny@{version}"
        assert said(answer)[0] == alone[version][0]
        assert said(answer)[1] == pytest.approx(alone[version][1], abs=TOLERANCE)
    after = server.engines()
    assert after["swaps"] == before
    (engine,) = after["data"]
    assert engine["snapshot"] == "tiny@01-a"
    assert {f"tiny@{ADAPTED}", f"tiny@{OTHER}"} <= set(engine["adapters"])


@pytest.mark.usefixtures("adapters")
def test_a_stream_of_an_adapter_names_it_and_what_it_goes_over_is_listed(client, server) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=f"tiny@{ADAPTED}", messages=QUESTION, max_tokens=8, stream=True
    )
    assert raw.headers["x-halyard-snapshot"] == f"tiny@{ADAPTED}"
    assert {chunk.model for chunk in raw.parse()} == {f"tiny@{ADAPTED}"}
    card = server.ask("GET", f"/v1/models/tiny@{ADAPTED}").json()
    assert (card["base"], card["parent"], card["state"]) == ("tiny@01-a", "tiny@01-a", "hot")


@pytest.mark.usefixtures("adapters")
def test_a_rank_too_large_is_refused_in_one_sentence_and_the_engine_goes_on(client, server) -> None:
    body = {"model": f"tiny@{LARGE}", "messages": QUESTION, "max_tokens": 4}
    refused = server.ask("POST", "/v1/chat/completions", json=body)
    assert refused.status_code == 410
    assert refused.json()["error"]["message"] == (
        f"tiny@{LARGE} cannot be served: its rank is 64, and the service takes adapters up to adapter_rank: 32"
    )
    answer = client.chat.completions.create(model="tiny@01-a", messages=QUESTION, max_tokens=4)
    assert answer.model == "tiny@01-a"
