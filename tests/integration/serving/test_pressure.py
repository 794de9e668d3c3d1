"""More requests than there is room for, clients that leave, and connections that only wait."""

from __future__ import annotations

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from support.chats import QUESTION, wait_until


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
    wait_until(lambda: server.engines()["data"][0]["in_flight"] == 0, seconds=2)


def test_a_thousand_silent_connections_hinder_nobody(server, client) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with contextlib.ExitStack() as open_sockets:
        for number in range(1000):
            silent = open_sockets.enter_context(socket.create_connection((host, int(port))))
            if number % 2:
                silent.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
        assert client.chat.completions.create(model="tiny@latest", messages=QUESTION, max_tokens=2).id
