"""Requests that mean harm, or were never tried by whoever wrote them: each is refused in one sentence."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image
from support.chats import QUESTION, with_image
from support.pictures import image_uri
from support.serving_process import CONSUMER


def bomb() -> str:
    """A small file of a huge picture: 13,000 x 13,000 pixels of one bit."""
    file = io.BytesIO()
    Image.new("1", (13000, 13000)).save(file, "PNG")
    assert len(file.getvalue()) < 50_000
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def chat_with(**fields) -> dict:
    return {"model": "tiny@latest", "messages": QUESTION, "max_tokens": 2} | fields


def schema_of(schema: dict) -> dict:
    return chat_with(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})


def deep(levels: int) -> dict:
    node: dict = {"type": "integer"}
    for _ in range(levels):
        node = {"type": "object", "properties": {"a": node}}
    return node


HOSTILE = {
    "unknown model": (404, chat_with(model="tiny@99")),
    "no model": (400, {"messages": QUESTION}),
    "path traversal": (404, chat_with(model="../../etc/passwd@x")),
    "header injection": (404, chat_with(model="tiny@latest\r\nset-cookie: a=b")),
    "too many answers": (400, chat_with(n=1000)),
    "too many tokens": (400, chat_with(max_tokens=10**9)),
    "no messages": (400, chat_with(messages=[])),
    "a role nobody has": (400, chat_with(messages=[{"role": "root", "content": "x"}])),
    "assistant last": (400, chat_with(messages=[*QUESTION, {"role": "assistant", "content": "x"}])),
    "prompt too long": (400, chat_with(messages=[{"role": "user", "content": "word " * 5000}])),
    "hot": (400, chat_with(temperature=1e9)),
    "logprobs": (400, chat_with(logprobs=True, top_logprobs=1000)),
    "many stops": (400, chat_with(stop=["a"] * 1000)),
    "seed too large": (400, chat_with(seed=10**30)),
    "bomb": (400, chat_with(messages=with_image(bomb()))),
    "no image": (400, chat_with(messages=with_image("data:image/png;base64,aGVsbG8="))),
    "not base64": (400, chat_with(messages=with_image("data:image/png;base64,@@@@"))),
    "file": (400, chat_with(messages=with_image("file:///etc/passwd"))),
    "inner network": (400, chat_with(messages=with_image("http://169.254.169.254/latest/meta-data"))),
    "too many images": (400, chat_with(messages=with_image(image_uri()) * 3)),
    "image of an assistant": (400, chat_with(messages=[with_image(image_uri())[0] | {"role": "assistant"}, *QUESTION])),
    "schema of itself": (400, schema_of({"$ref": "#"})),
    "schema of nothing": (400, schema_of({"$ref": "#/$defs/none"})),
    "schema of elsewhere": (400, schema_of({"$ref": "http://127.0.0.1/x"})),
    "deep schema": (400, schema_of(deep(200))),
    "schema of no type": (400, schema_of({"type": "nonsense"})),
    "no schema": (400, chat_with(response_format={"type": "json_schema"})),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_chats_are_refused_in_one_sentence(server, name) -> None:
    status, body = HOSTILE[name]
    answer = server.ask("POST", "/v1/chat/completions", key=CONSUMER, json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert 10 < len(error["message"]) < 600
    assert "set-cookie" not in answer.headers


RAW = {
    "deep nesting": (400, b"[" * 100_000),
    "deep object": (400, b'{"messages":' * 20_000),
    "not JSON": (400, b"{"),
    "NaN": (400, b'{"model":"tiny@latest","messages":[{"role":"user","content":"a"}],"temperature":NaN}'),
    "huge number": (400, b'{"model":"tiny@latest","seed":' + b"9" * 5000 + b"}"),
    "lone surrogate": (400, b'{"model":"tiny@latest","messages":[{"role":"user","content":"\\ud800"}]}'),
    "huge body": (413, b'{"model":"' + b"x" * 5 * 2**20 + b'"}'),
    "not UTF-8": (400, b'{"model":"\xff\xfe"}'),
    "empty": (400, b""),
}


@pytest.mark.parametrize("name", RAW)
def test_hostile_bodies_are_refused(server, name) -> None:
    status, content = RAW[name]
    headers = {"content-type": "application/json"}
    answer = server.ask("POST", "/v1/chat/completions", key=CONSUMER, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "path", ["/v1/models/..%2f..%2fetc", "/v1/snapshots/..%2f..%2fx/promote", "/v1/aliases/%0d%0ax:y"]
)
def test_hostile_paths_are_not_found(server, path) -> None:
    for method in ("GET", "POST", "PUT"):
        answer = server.ask(method, path, json={"shares": {"01-a": 1.0}} if method == "PUT" else {})
        assert answer.status_code in (400, 404, 405), answer.text
        assert answer.json()["error"]["message"]
