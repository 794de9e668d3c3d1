"""One service, started once: what OpenAI's client gets from it, and what operators and strangers do."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest
import torch
from PIL import Image
from support.commands import ROOT
from support.pictures import image_uri
from support.serving_process import CONSUMER, OPERATOR, add_snapshot

from model.load import load_policy, load_processor
from model.render import ChatMessage

QUESTION = [{"role": "user", "content": "How many red circles are there?"}]
SCHEMA = {
    "type": "object",
    "properties": {"count": {"type": "integer", "minimum": 0, "maximum": 9}, "colour": {"enum": ["red", "blue"]}},
    "required": ["count", "colour"],
    "additionalProperties": False,
}


def with_image(uri: str) -> list[dict]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": uri}}, *_text()]}]


def _text() -> list[dict]:
    return [{"type": "text", "text": "How many?"}]


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
    assert names[:1] == ["tiny@latest"]
    assert {"tiny@01-a", "tiny@02-b"} <= set(names)


def test_operators_alone_are_told_where_a_snapshot_lies(server, run) -> None:
    for key, there in ((CONSUMER, False), (OPERATOR, True)):
        cards = {card["id"]: card for card in server.ask("GET", "/v1/models", key=key).json()["data"]}
        for name in ("tiny@latest", "tiny@02-b"):
            assert cards[name].get("root") == (str(run / "snapshots" / "02-b") if there else None)


def test_fields_that_are_not_served_are_named(server) -> None:
    body = {"model": "tiny@latest", "messages": QUESTION, "max_tokens": 1, "tools": [], "x\r\ny": 1, "store": True}
    answer = server.ask("POST", "/v1/chat/completions", json=body)
    assert answer.status_code == 200
    assert answer.headers["x-halyard-ignored"] == "tools,store"


def test_keys_and_scopes(server) -> None:
    for key in (None, "sk-somebody-else-0000"):
        for method, path in (("GET", "/v1/models"), ("GET", "/metrics"), ("GET", "/nothing"), ("POST", "/v1/feedback")):
            refused = server.ask(method, path, key=key)
            assert refused.status_code == 401, path
            assert refused.json()["error"]["type"] == "authentication_error"
    for path in ("/v1/engines", "/v1/aliases", "/metrics"):
        assert server.ask("GET", path, key=CONSUMER).status_code == 403
        assert server.ask("GET", path).status_code == 200
    assert server.ask("GET", "/healthz", key=None).status_code == 200
    assert not any(CONSUMER in line for line in server.log.read_text().splitlines())


def test_promotion_canary_feedback_and_rollback(server, client) -> None:
    with pytest.raises(openai.NotFoundError, match="nothing has been promoted"):
        client.chat.completions.create(model="tiny@stable", messages=QUESTION, max_tokens=2)
    promoted = server.ask("POST", "/v1/snapshots/tiny@01-a/promote", json={"why": "first"})
    assert promoted.json()["shares"] == {"01-a": 1.0}
    server.ask("POST", "/v1/snapshots/tiny@02-b/promote", json={"share": 0.5})
    seen = {}
    for number in range(12):
        user = f"user-{number}"
        answers = [
            client.chat.completions.create(model="tiny@stable", messages=QUESTION, max_tokens=2, user=user)
            for _ in range(2)
        ]
        assert answers[0].model == answers[1].model
        seen[answers[0].model] = answers[0].id
    assert seen.keys() == {"tiny@01-a", "tiny@02-b"}
    given = server.ask("POST", "/v1/feedback", json={"id": seen["tiny@02-b"], "score": -1, "comment": "no"})
    assert given.json()["model"] == "tiny@02-b"
    (alias,) = [one for one in server.ask("GET", "/v1/aliases").json()["data"] if one["id"] == "tiny@stable"]
    figures = alias["figures"]["tiny@02-b"]
    assert figures["feedback"] == {"count": 1, "mean": -1.0}
    assert figures["requests"] >= 2
    rolled = server.ask("POST", "/v1/snapshots/tiny@stable/rollback", json={"why": "bad"})
    assert rolled.json()["shares"] == {"01-a": 1.0}
    assert [change["who"] for change in rolled.json()["changes"]] == ["operator"] * 3
    assert client.chat.completions.create(model="tiny@stable", messages=QUESTION, max_tokens=2).model == "tiny@01-a"


def test_a_new_snapshot_appears_and_a_damaged_one_is_refused(server, client, run) -> None:
    folder = add_snapshot(run, "03-c", seed=7)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-3, 2)
        file.write(b"\x01\x02\x03")
    _wait(lambda: "tiny@03-c" in [model.id for model in client.models.list()])
    with pytest.raises(openai.APIStatusError, match="damaged") as refused:
        client.chat.completions.create(model="tiny@03-c", messages=QUESTION, max_tokens=2)
    assert refused.value.status_code == 410
    add_snapshot(run, "04-d", seed=8)
    _wait(lambda: "tiny@04-d" in [model.id for model in client.models.list()])
    assert client.chat.completions.create(model="tiny@latest", messages=QUESTION, max_tokens=2).model == "tiny@04-d"


def _wait(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def long_answer(client: openai.OpenAI, seed: int = 0) -> str:
    body = {"ignore_eos": True}
    options = {"model": "tiny@01-a", "messages": QUESTION, "max_tokens": 400, "seed": seed, "extra_body": body}
    answer = client.chat.completions.create(**options)
    assert answer.usage.completion_tokens == 400
    return answer.model


def test_a_full_queue_is_told_with_a_time_and_a_patient_client_gets_through(server) -> None:
    hasty, patient = server.client(), server.client(retries=20)
    with ThreadPoolExecutor(40) as threads:
        refused = [error for error in threads.map(lambda seed: _error(hasty, seed), range(40)) if error]
        assert refused
        for error in refused:
            assert error.status_code == 429
            assert int(error.response.headers["retry-after"]) >= 1
        assert set(threads.map(lambda seed: long_answer(patient, seed), range(20))) == {"tiny@01-a"}


def _error(client: openai.OpenAI, seed: int) -> openai.APIStatusError | None:
    try:
        long_answer(client, seed)
    except openai.APIStatusError as error:
        return error
    return None


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_frees_its_place(server, stream) -> None:
    options = {
        "model": "tiny@01-a",
        "messages": QUESTION,
        "max_tokens": 400,
        "n": 8,
        "extra_body": {"ignore_eos": True},
    }
    if stream:
        answer = server.client().chat.completions.create(**options, stream=True)
        next(iter(answer))
        assert server.engines()["data"][0]["in_flight"] == 8
        answer.close()
    else:
        with pytest.raises(openai.APITimeoutError):
            server.client().with_options(timeout=0.3).chat.completions.create(**options)
    _wait(lambda: server.engines()["data"][0]["in_flight"] == 0, seconds=2)


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


def test_a_thousand_silent_connections_hinder_nobody(server, client) -> None:
    import socket

    host, port = server.url.removeprefix("http://").split(":")
    with contextlib.ExitStack() as open_sockets:
        for number in range(1000):
            silent = open_sockets.enter_context(socket.create_connection((host, int(port))))
            if number % 2:
                silent.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
        assert client.chat.completions.create(model="tiny@latest", messages=QUESTION, max_tokens=2).id


def test_metrics_and_logs_tell_what_was_done(server, client) -> None:
    headers = {"x-request-id": "my-request-1"}
    answer = client.chat.completions.with_raw_response.create(
        model="tiny@latest", messages=QUESTION, max_tokens=3, extra_headers=headers
    )
    assert answer.headers["x-request-id"] == "my-request-1"
    _wait(lambda: any(line.get("request_id") == "my-request-1" for line in server.logged()))
    (line,) = [line for line in server.logged() if line.get("request_id") == "my-request-1"]
    assert (line["key"], line["snapshot"], line["alias"], line["status"]) == (
        "consumer",
        "tiny@04-d",
        "tiny@latest",
        200,
    )
    assert line["tokens"] == answer.parse().usage.completion_tokens
    page = server.ask("GET", "/metrics").text
    assert 'halyard_engine_up{engine="engine-0",snapshot="tiny@04-d"} 1.0' in page
    assert 'halyard_requests_total{route="/v1/chat/completions",snapshot="tiny@04-d",status="200"}' in page
    assert "halyard_first_token_seconds_bucket" in page


def test_the_examples_of_the_docs_do_what_they_say(server) -> None:
    """Every Python block and every curl before the section on runs, in order, against this service."""
    page = (ROOT / "docs" / "serving.md").read_text().split("\n## Runs\n")[0]
    for old, new in (
        ("http://127.0.0.1:8000", server.url),
        ("quickstart-001", "tiny"),
        ("04-verifiable-rl", "01-a"),
        ("09-mixed-rl", "02-b"),
        ("not needed on loopback", OPERATOR),
        ("curl -s", f"curl -sS --fail-with-body -H 'authorization: Bearer {OPERATOR}'"),
    ):
        page = page.replace(old, new)
    names: dict = {}
    blocks = re.findall(r"```(python|bash)\n(.*?)```", page, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "bash", "python", "python", "bash"]
    for kind, block in blocks:
        if kind == "python":
            exec(block, names)
        else:
            done = subprocess.run(["bash", "-ec", block], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            last = done.stdout
    assert json.loads(names["answer"].choices[0].message.content)["sum"] in (6, 7, 8)
    assert '"worst_load"' in last
