"""Requests made from the service's own OpenAPI schema, valid ones and broken ones: none makes the service fail.

Most of them are aimed: they name a snapshot that is there and ask for a few tokens, so that they reach the engine.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.hostile_schemas import SCHEMAS
from support.pictures import image_uri
from support.serving_process import OPERATOR, Server

REQUESTS = int(os.environ.get("HALYARD_SCHEMA_REQUESTS", "300"))
"""How many are sent, about; CI sends few, by hand thousands can be sent."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
WEIGHTS = {"/v1/chat/completions": 10, "/v1/completions": 6, "/v1/tokenize": 2}
SERVED = ["tiny@01-a", "tiny@02-b", "tiny@latest"]
NAMES = [*SERVED, "tiny@stable", "tiny@mine", "tiny@", "other@01-a"]
PROMPTS = ["a b", ["a", "b c"], [5, 6, 7], [[5], [6, 7]], "<|im_end|>"]
BODY_TOKENS = 12
SECONDS = 30
NEVER_SHOWN = ("Traceback", "object at 0x", "<class", "vllm.", "serving/", "pydantic")


@dataclass
class Tally:
    """What came back."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0


def test_no_request_that_can_be_made_from_the_schema_makes_the_service_fail(server) -> None:
    spec = server.ask("GET", "/v1/openapi.json", timeout=SECONDS).json()
    operations = [found.ok() for found in schemathesis.openapi.from_dict(spec).get_all_operations()]
    # Those of runs start and stop processes; they have tests of their own.
    operations = [one for one in operations if not one.path.startswith("/v1/runs")]
    whole = sum(WEIGHTS.get(one.path, 1) for one in operations if one.body)
    tally, failures = Tally(), []
    for one in operations:
        # Where nothing can be chosen, Hypothesis stops after the one request that there is.
        count = max(5, round(REQUESTS * WEIGHTS.get(one.path, 1) / whole))
        try:
            send(server, one, count, tally)
        except (Exception, BaseExceptionGroup) as error:
            failures.append(error)
    answered = sum(number for (_, status), number in tally.statuses.items() if status == 200)
    print(f"{tally.statuses.total()} requests, {answered} answered 200; slowest {tally.slowest:.2f} s")
    print(*(f"{number:5} x {status} {path}" for (path, status), number in sorted(tally.statuses.items())), sep="\n")
    print(*(f"{number:5} x {what}" for what, number in tally.refusals.most_common(40)), sep="\n")
    if failures:
        raise BaseExceptionGroup("requests that made the service fail", failures)
    assert tally.statuses.total() >= REQUESTS
    engines = sum(
        number for (path, status), number in tally.statuses.items() if "completions" in path and status == 200
    )
    assert engines > REQUESTS / 20
    assert server.ask("GET", "/readyz").status_code == 200


def send(server: Server, operation: Any, count: int, tally: Tally) -> None:
    """Requests of one operation, each checked as it comes back; the smallest that fails is shown."""
    sound = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    broken = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    cases = st.one_of(sound, sound, broken) if operation.body else sound

    @settings(
        max_examples=count,
        phases=[Phase.generate, Phase.shrink],
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(case=cases, data=st.data())
    def run(case: Case, data: st.DataObject) -> None:
        aim(case, data.draw)
        headers = {"authorization": f"Bearer {OPERATOR}"}
        response = case.call(server.url, session, headers=headers, timeout=SECONDS)
        tally.statuses[operation.path, response.status_code] += 1
        tally.slowest = max(tally.slowest, response.elapsed)
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 400:
            tally.refusals[f"{response.status_code} {check_refusal(response.json()['error'])}"] += 1

    with requests.Session() as session:
        run()


def check_refusal(error: dict[str, Any]) -> str:
    """The first words of an error, which is one line for a person and shows nothing of the inside."""
    message = error["message"]
    assert 10 < len(message) <= 600, message
    assert "\n" not in message, message
    assert not any(word in message for word in NEVER_SHOWN), message
    return message[:60]


def aim(case: Case, draw: Any) -> None:
    """Have a request reach further in most cases: a snapshot that is there, few tokens, a turn to answer."""
    if "name" in (case.path_parameters or {}) and draw(st.integers(0, 3)):
        case.path_parameters["name"] = draw(st.sampled_from(NAMES))
    body = case.body
    if not isinstance(body, dict) or not draw(st.integers(0, 7)):
        return
    if "model" in body:
        body["model"] = draw(st.sampled_from(SERVED))
        for name in ("max_tokens", "max_completion_tokens"):
            body[name] = draw(st.integers(1, BODY_TOKENS))
        body["n"] = draw(st.integers(1, 3) | st.none())
    if "prompt" in body and draw(st.booleans()):
        body["prompt"] = draw(st.sampled_from(PROMPTS))
    if body.get("top_logprobs") is not None:
        body["logprobs"] = True
    messages = body.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        _aim_turn(messages[-1], draw)
    form = body.get("response_format")
    if isinstance(form, dict) and draw(st.booleans()):
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": draw(SCHEMAS)}}


def _aim_turn(turn: dict[str, Any], draw: Any) -> None:
    turn["role"] = "user"
    for part in turn["content"] if isinstance(turn.get("content"), list) else ():
        if isinstance(part, dict) and isinstance(part.get("image_url"), dict):
            part["image_url"]["url"] = draw(st.sampled_from(["data:image/png;base64,AAAA", image_uri()]))
