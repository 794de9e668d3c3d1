"""Images from a real web server, over TLS too: the connection goes to the address that was checked, and the name
that the client asked for is the one that the server must prove to be."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from support.web import Authority, WebServer, response

from serving.errors import Refusal
from serving.fetch import Fetcher

HOST, ADDRESS = "images.example", "93.184.215.14"
URL = f"https://{HOST}/a%20b.png?size=2"


async def public(_host: str, _port: int) -> list[str]:
    return [ADDRESS]


def fetcher(server: WebServer, authority: Authority, seconds: float = 5.0) -> Fetcher:
    """Every connection of it, whatever the address, goes to the server's socket."""
    transport = httpx2.AsyncHTTPTransport(verify=authority.client(), uds=str(server.socket), trust_env=False)
    return Fetcher([HOST], resolve=public, transport=transport, seconds=seconds)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def server(tmp_path: Path, answer: bytes, *, slow: bool = False) -> WebServer:
    return WebServer(tmp_path / "web", answer, slow)


async def test_over_tls_the_name_is_asked_for_and_proven_though_the_address_is_dialled(tmp_path, authority) -> None:
    web = server(tmp_path, response(b"a picture"))
    async with web.listening(authority.server(HOST)):
        assert await fetcher(web, authority).get(URL, 100) == b"a picture"
    (asked,) = web.asked
    assert asked.startswith("GET /a%20b.png?size=2 HTTP/1.1\r\n")
    assert f"\r\nhost: {HOST}\r\n" in asked.lower()
    assert web.names == [HOST]


async def test_a_server_that_proves_another_name_gets_no_request(tmp_path, authority) -> None:
    web = server(tmp_path, response(b"a picture"))
    async with web.listening(authority.server("elsewhere.example")):
        with pytest.raises(Refusal, match=r"could not be fetched from images\.example \(ConnectError\)"):
            await fetcher(web, authority).get(URL, 100)
    assert web.asked == []


async def test_a_server_that_nobody_vouches_for_gets_no_request(tmp_path, authority) -> None:
    (tmp_path / "stranger").mkdir()
    web = server(tmp_path, response(b"a picture"))
    async with web.listening(Authority(tmp_path / "stranger").server(HOST)):
        with pytest.raises(Refusal, match="could not be fetched"):
            await fetcher(web, authority).get(URL, 100)
    assert web.asked == []


async def test_a_body_without_end_is_cut_off_at_the_limit(tmp_path, authority) -> None:
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + 2 * chunk
    web = server(tmp_path, endless, slow=True)
    async with web.listening():
        with pytest.raises(Refusal, match="more than"):
            await fetcher(web, authority).get(URL.replace("https", "http"), 1500)


async def test_a_server_that_never_finishes_is_given_up(tmp_path, authority) -> None:
    web = server(tmp_path, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345", slow=True)
    async with web.listening():
        with pytest.raises(Refusal, match="could not be fetched"):
            await fetcher(web, authority, seconds=0.2).get(URL.replace("https", "http"), 100)
    assert len(web.asked) == 1


async def test_a_redirect_is_not_followed(tmp_path, authority) -> None:
    web = server(tmp_path, response(b"", "302 Found", f"location: http://{HOST}/b.png"))
    async with web.listening():
        with pytest.raises(Refusal, match="answered 302, expected 200"):
            await fetcher(web, authority).get(URL.replace("https", "http"), 100)
    assert len(web.asked) == 1
