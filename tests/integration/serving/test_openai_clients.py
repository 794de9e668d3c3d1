"""What OpenAI's client gets: answers, streams, images, log-probs and JSON of a schema, each from the version named."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from support.chats import QUESTION, with_image
from support.pictures import image_uri

from model.load import load_policy, load_processor
from model.render import ChatMessage

SCHEMA = {
    "type": "object",
    "properties": {"count": {"type": "integer", "minimum": 0, "maximum": 9}, "colour": {"enum": ["red", "blue"]}},
    "required": ["count", "colour"],
    "additionalProperties": False,
}


def test_an_answer_names_its_version_and_can_be_had_again_from_it(client) -> None:
    options = {"messages": QUESTION, "seed": 5, "max_tokens": 40}
    first = client.chat.completions.with_raw_response.create(model="tiny@latest", **options)
    answer = first.parse()
    assert answer.model == first.headers["x-halyard-snapshot"] == "tiny@02-b"
    assert answer.system_fingerprint.startswith("tiny@02-b:")
    assert first.headers["x-halyard-alias"] == "tiny@latest"
    other = client.chat.completions.create(model="tiny@01-a", **options)
    again = client.chat.completions.create(model=answer.model, **options)
    assert again.choices[0].message.content == answer.choices[0].message.content
    assert other.choices[0].message.content != answer.choices[0].message.content


def test_a_stream_has_the_same_text_the_version_and_the_usage(client) -> None:
    options = {"model": "tiny@latest", "messages": QUESTION, "seed": 5, "max_tokens": 40, "n": 2}
    whole = client.chat.completions.create(**options)
    raw = client.chat.completions.with_raw_response.create(
        **options, stream=True, stream_options={"include_usage": True}
    )
    assert raw.headers["x-halyard-snapshot"] == "tiny@02-b"
    texts = ["", ""]
    for chunk in (chunks := list(raw.parse())):
        assert chunk.model == "tiny@02-b"
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in whole.choices]
    assert chunks[-1].system_fingerprint == whole.system_fingerprint
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert texts[0] != texts[1]


@pytest.mark.parametrize("version", ["01-a", "02-b"])
@pytest.mark.parametrize("pictured", [False, True])
def test_logprobs_are_those_of_the_version_asked_for(client, run, version, pictured) -> None:
    """Against a plain forward pass of the snapshot's own weights, on ids that training's renderer writes."""
    folder = run / "snapshots" / version
    uri = image_uri()
    messages = with_image(uri) if pictured else QUESTION
    answer = client.chat.completions.create(
        model=f"tiny@{version}",
        messages=messages,
        seed=3,
        max_tokens=16,
        logprobs=True,
        top_logprobs=2,
        extra_body={"return_tokens_as_token_ids": True},
    )
    entries = answer.choices[0].logprobs.content
    assert all(len(entry.top_logprobs) == 2 for entry in entries)

    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
    turn = (
        ChatMessage("user", "How many?", images=(image,)) if pictured else ChatMessage("user", QUESTION[0]["content"])
    )
    renderer = load_processor(folder)
    rendered = renderer.prompt([turn], thinking=True)
    assert answer.usage.prompt_tokens == len(rendered.token_ids)
    written = [int(entry.token.removeprefix("token_id:")) for entry in entries]
    policy = load_policy(folder, dtype=torch.float32).eval()
    ids = torch.tensor([[*rendered.token_ids.tolist(), *written]])
    images = {} if rendered.pixel_values is None else {"pixel_values": torch.from_numpy(rendered.pixel_values)}
    with torch.no_grad():
        logits = policy(input_ids=ids, position_ids=torch.arange(ids.shape[1])[None], **images).logits[0]
    expected = logits[:-1].log_softmax(-1).gather(-1, ids[0, 1:, None])[-len(written) :, 0].numpy()
    assert np.abs(expected - np.array([entry.logprob for entry in entries])).max() < 1e-4


def test_a_json_schema_binds_the_answer(client) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "circles", "schema": SCHEMA}}
    answers = client.chat.completions.create(
        model="tiny@latest",
        messages=QUESTION,
        response_format=wanted,
        max_tokens=60,
        n=4,
        extra_body={"thinking": False},
    )
    for choice in answers.choices:
        content = json.loads(choice.message.content)
        assert content.keys() == {"count", "colour"}
        assert content["count"] in range(10)


def test_stops_limits_and_completions(client) -> None:
    answer = client.completions.create(
        model="tiny@latest", prompt=["a b", "c d"], max_tokens=6, seed=1, n=2, logprobs=1
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.usage.completion_tokens <= 24
    text = answer.choices[0].text
    stop = text[len(text) // 2 :][:2]
    cut = client.completions.create(model="tiny@latest", prompt="a b", max_tokens=6, seed=1, stop=[stop])
    assert cut.choices[0].finish_reason == "stop"
    assert stop not in cut.choices[0].text


def test_tokenize_shows_control_tokens_in_texts_as_plain_characters(server, run) -> None:
    renderer = load_processor(run / "snapshots" / "02-b")
    text = "2 <|im_end|> 3"
    answer = server.ask(
        "POST", "/v1/tokenize", json={"model": "tiny@latest", "messages": [{"role": "user", "content": text}]}
    )
    body = answer.json()
    assert body["tokens"] == renderer.prompt([ChatMessage("user", text)], thinking=True).token_ids.tolist()
    assert body["tokens"].count(renderer.eos_token_id) == 1
    assert body["model"] == "tiny@02-b"


def test_models_lists_aliases_and_snapshots(client) -> None:
    names = [model.id for model in client.models.list()]
    assert {"tiny@latest", "tiny@01-a", "tiny@02-b"} <= set(names)


def test_fields_that_are_not_served_are_named(server) -> None:
    body = {"model": "tiny@latest", "messages": QUESTION, "max_tokens": 1, "tools": [], "x\r\ny": 1, "store": True}
    answer = server.ask("POST", "/v1/chat/completions", json=body)
    assert answer.status_code == 200
    assert answer.headers["x-halyard-ignored"] == "tools,store"
