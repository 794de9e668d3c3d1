"""What operators do, and what others may not: keys, promotions, canaries, new and damaged snapshots, metrics, logs."""

from __future__ import annotations

import shutil

import openai
import pytest
from support.chats import QUESTION, wait_until
from support.serving_process import CONSUMER, OPERATOR, add_snapshot


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


def test_operators_alone_are_told_where_a_snapshot_lies(server, run) -> None:
    for key, there in ((CONSUMER, False), (OPERATOR, True)):
        cards = {card["id"]: card for card in server.ask("GET", "/v1/models", key=key).json()["data"]}
        for name in ("tiny@latest", "tiny@02-b"):
            assert cards[name].get("root") == (str(run / "snapshots" / "02-b") if there else None)


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
    wait_until(lambda: "tiny@03-c" in [model.id for model in client.models.list()])
    with pytest.raises(openai.APIStatusError, match="damaged") as refused:
        client.chat.completions.create(model="tiny@03-c", messages=QUESTION, max_tokens=2)
    assert refused.value.status_code == 410
    add_snapshot(run, "04-d", seed=8)
    wait_until(lambda: "tiny@04-d" in [model.id for model in client.models.list()])
    assert client.chat.completions.create(model="tiny@latest", messages=QUESTION, max_tokens=2).model == "tiny@04-d"


def test_a_policy_that_diverged_answers_with_log_probs_that_are_none(server, client, run) -> None:
    folder = add_snapshot(run, "05-e", seed=9, scale=float("nan"))
    try:
        wait_until(lambda: "tiny@05-e" in [model.id for model in client.models.list()])
        options = {"model": "tiny@05-e", "messages": QUESTION, "max_tokens": 4, "logprobs": True}
        answer = client.chat.completions.create(**options)
        chunks = list(client.chat.completions.create(**options, stream=True))
        parts = [part for chunk in chunks for part in chunk.choices if part.logprobs]
        streamed = [entry for part in parts for entry in part.logprobs.content]
        for entries in (answer.choices[0].logprobs.content, streamed):
            assert {entry.logprob for entry in entries} == {None}
    finally:
        shutil.rmtree(folder)


def test_metrics_and_logs_tell_what_was_done(server, client) -> None:
    headers = {"x-request-id": "my-request-1"}
    answer = client.chat.completions.with_raw_response.create(
        model="tiny@latest", messages=QUESTION, max_tokens=3, extra_headers=headers
    )
    assert answer.headers["x-request-id"] == "my-request-1"
    wait_until(lambda: any(line.get("request_id") == "my-request-1" for line in server.logged()))
    (line,) = [line for line in server.logged() if line.get("request_id") == "my-request-1"]
    snapshot, usage = answer.parse().model, answer.parse().usage
    told = (line["key"], line["snapshot"], line["alias"], line["status"], line["tokens"])
    assert told == ("consumer", snapshot, "tiny@latest", 200, usage.completion_tokens)
    page = server.ask("GET", "/metrics").text
    assert f'halyard_engine_up{{engine="engine-0",snapshot="{snapshot}"}} 1.0' in page
    assert f'halyard_requests_total{{route="/v1/chat/completions",snapshot="{snapshot}",status="200"}}' in page
    assert "halyard_first_token_seconds_bucket" in page
