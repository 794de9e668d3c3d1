from __future__ import annotations

import asyncio
import json

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from configs.serving import LimitsConfig
from serving.errors import Refusal
from serving.exchange import Exchange
from serving.gate import Gate, refusal_of
from serving.keys import Keys

KEY = "sk-0123456789abcdef"


async def echo(scope, receive, send) -> None:
    """An application that tells how much it was sent, and by whom."""
    size = len(await Request(scope, receive).body())
    caller = scope["state"]["exchange"].caller
    await JSONResponse({"size": size, "caller": caller.name if caller else None})(scope, receive, send)


async def fail(scope, receive, send) -> None:
    raise RuntimeError("secret inner state")


@pytest.fixture
def keys(tmp_path) -> Keys:
    (tmp_path / "keys").write_text(f"alice consume {KEY}\n")
    return Keys(tmp_path / "keys")


def gate(app=echo, *, keys: Keys | None = None, seconds: float = 5.0) -> tuple[Gate, list[Exchange]]:
    ended: list[Exchange] = []
    limits = LimitsConfig(body_mib=0.001, body_seconds=seconds)
    return Gate(app, keys=keys, limits=limits, ended=lambda exchange, _: ended.append(exchange)), ended


async def ask(
    gate: Gate, *, path="/v1/models", headers: dict[str, str] | None = None, parts: tuple[bytes, ...] = (b"",)
):
    """Status, headers and body of an answer to a request whose body comes in parts; None as a part never comes."""
    given = {"host": "127.0.0.1:8000"} | (headers or {})
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        "query_string": b"",
    }
    left = list(parts)
    sent: list = []

    async def receive():
        if not left or left[0] is None:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message) -> None:
        sent.append(message)

    await gate(scope, receive, send)
    start, *rest = sent
    body = b"".join(message.get("body", b"") for message in rest)
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, json.loads(body)


async def test_without_keys_the_local_user_may_do_all() -> None:
    status, headers, body = await ask(gate()[0], parts=(b"ab", b"c"))
    assert (status, body) == (200, {"size": 3, "caller": "local"})
    assert len(headers["x-request-id"]) == 32


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "10.0.0.1:8000", ""])
async def test_without_keys_a_page_that_names_another_host_is_refused(host) -> None:
    status, _, body = await ask(gate()[0], headers={"host": host})
    assert status == 421
    assert body["error"]["code"] == "wrong_host"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example:8000", ""])
async def test_without_keys_a_page_from_elsewhere_is_refused(origin) -> None:
    assert (await ask(gate()[0], headers={"origin": origin}))[0] == 421
    assert (await ask(gate()[0], headers={"origin": "http://localhost:8000"}))[0] == 200


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "[::1]:8000", "[::1]"])
async def test_loopback_has_several_names(host) -> None:
    assert (await ask(gate()[0], headers={"host": host}))[0] == 200


@pytest.mark.parametrize("given", [None, "Basic abc", f"Bearer {KEY}x", "Bearer ", "Bearer ü", KEY])
@pytest.mark.parametrize("path", ["/v1/models", "//", "/healthz/", "//healthz", "/metrics", "/invocations"])
async def test_every_path_asks_for_a_key(keys, given, path) -> None:
    guarded, ended = gate(keys=keys)
    status, headers, body = await ask(guarded, path=path, headers={"authorization": given} if given else {})
    assert status == 401
    assert headers["www-authenticate"] == "Bearer"
    assert body["error"]["type"] == "authentication_error"
    assert ended[0].status == 401


async def test_a_key_opens(keys) -> None:
    assert (await ask(gate(keys=keys)[0], headers={"authorization": f"bearer {KEY}"}))[2]["caller"] == "alice"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_need_none(keys, path) -> None:
    assert (await ask(gate(keys=keys)[0], path=path))[0] == 200


async def test_a_large_body_is_refused_by_its_length_before_it_is_read() -> None:
    for length in ("2000", "9" * 5000):
        status, headers, _ = await ask(gate()[0], headers={"content-length": length}, parts=(None,))
        assert (status, headers["connection"]) == (413, "close")


async def test_a_large_body_without_a_length_is_refused_on_its_way() -> None:
    async def reads(scope, receive, send) -> None:
        try:
            await echo(scope, receive, send)
        except Exception as error:  # as FastAPI does
            raise refusal_of(error) from None

    assert (await ask(gate(reads)[0], parts=(b"x" * 600, b"x" * 600, None)))[0] == 413


async def test_a_slow_body_is_given_up() -> None:
    async def reads(scope, receive, send) -> None:
        try:
            await echo(scope, receive, send)
        except Exception as error:
            raise refusal_of(error) from None

    assert (await ask(gate(reads, seconds=0.05)[0], parts=(b"x", None)))[0] == 408


async def test_a_fault_of_the_service_tells_nothing_of_it() -> None:
    status, _, body = await ask(gate(fail)[0], headers={"x-request-id": "abc-1"})
    assert status == 500
    assert "secret" not in json.dumps(body)
    assert "abc-1" in body["error"]["message"]


@pytest.mark.parametrize("given", ["a b", "x" * 65, "a\r\nset-cookie: b", "ü", ""])
async def test_only_plain_request_ids_are_taken(given) -> None:
    _, headers, _ = await ask(gate()[0], headers={"x-request-id": given})
    assert headers["x-request-id"] != given
    assert len(headers["x-request-id"]) == 32


async def test_a_refusal_tells_when_to_come_again() -> None:
    async def busy(scope, receive, send) -> None:
        raise Refusal(429, "too many", retry_after=1.2)

    status, headers, body = await ask(gate(busy)[0])
    assert (status, headers["retry-after"]) == (429, "2")
    assert body == {"error": {"message": "too many", "type": "rate_limit_error", "param": None, "code": None}}


async def test_the_page_comes_without_a_key_and_nothing_else_does(keys) -> None:
    for path in ("/", "/favicon.ico", "/_nicegui/3.18.0/static/vue.js", "/_nicegui_ws/socket.io/"):
        assert (await ask(gate(keys=keys)[0], path=path))[0] == 200
    for path in ("//", "/v1/models", "/_nicegui", "/_niceguix/", "/x/_nicegui/"):
        assert (await ask(gate(keys=keys)[0], path=path))[0] == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9000"])
async def test_the_page_is_not_used_from_another(keys, origin) -> None:
    status, _, body = await ask(gate(keys=keys)[0], path="/", headers={"origin": origin})
    assert (status, body["error"]["code"]) == (421, "wrong_origin")
    assert (await ask(gate(keys=keys)[0], path="/", headers={"origin": "http://127.0.0.1:8000"}))[0] == 200


@pytest.mark.parametrize(
    ("path", "origin", "host", "opened"),
    [
        ("/_nicegui_ws/socket.io/", "http://localhost:8000", "localhost:8000", True),
        ("/_nicegui_ws/socket.io/", "https://evil.example", "localhost:8000", False),
        ("/_nicegui_ws/socket.io/", "https://evil.example", "evil.example", False),
        ("/v1/models", "http://localhost:8000", "localhost:8000", False),
    ],
)
async def test_only_the_page_itself_opens_its_socket(path: str, origin: str, host: str, opened: bool) -> None:
    async def accept(scope, receive, send) -> None:
        await send({"type": "websocket.accept"})

    sent: list = []

    async def send(message) -> None:
        sent.append(message["type"])

    headers = [(b"origin", origin.encode()), (b"host", host.encode())]
    await gate(accept)[0]({"type": "websocket", "path": path, "headers": headers}, None, send)
    assert sent == ["websocket.accept" if opened else "websocket.close"]
