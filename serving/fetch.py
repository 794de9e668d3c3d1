"""Images by http(s) URL: only from hosts that the operator named, and never from inside the operator's network.

The name is resolved once, every address it has must be a public one, and the connection goes to the address
that was checked: a name that resolves differently a moment later leads nowhere. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

import httpx2

from serving.errors import Refusal

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_SECONDS = 10.0
_PORTS = {"http": 80, "https": 443}


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Fetcher:
    """Fetches files from the hosts named."""

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        resolve: Resolve = resolve,
        transport: httpx2.AsyncBaseTransport | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        self._hosts = {host.lower().rstrip(".") for host in hosts}
        self._resolve = resolve
        self._transport = transport
        self._seconds = seconds

    async def get(self, url: str, largest: int) -> bytes:
        """The bytes at a URL, at most `largest`.

        Raises:
            Refusal: the URL is not one that may be fetched, or the host does not give it.
        """
        parsed = self._allowed(url)
        try:
            async with asyncio.timeout(self._seconds):
                address = await self._address(parsed.host, _PORTS[parsed.scheme])
                return await self._read(parsed, address, largest)
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
            reason = type(error).__name__
            raise _refusal(
                f"the image could not be fetched from {parsed.host} ({reason})", "image_unreachable"
            ) from None

    def _allowed(self, url: str) -> httpx2.URL:
        """The URL, read once by the reader that will also fetch it."""
        try:
            parsed = httpx2.URL(url)
        except (httpx2.InvalidURL, TypeError, ValueError):
            raise _refusal("the image's URL cannot be read") from None
        if parsed.scheme not in _PORTS:
            raise _refusal("expected an image as a data URI or by http(s) URL")
        if not self._hosts:
            raise _refusal("images by URL are not allowed here; send a data URI: data:image/png;base64,...")
        if parsed.host.lower().rstrip(".") not in self._hosts:
            raise _refusal(f"images may only be fetched from {', '.join(sorted(self._hosts))}; or send a data URI")
        if parsed.userinfo or parsed.port not in (None, _PORTS[parsed.scheme]):
            raise _refusal("the URL of an image has no user, password or port")
        return parsed

    async def _address(self, host: str, port: int) -> str:
        addresses = await self._resolve(host, port)
        if not addresses or not all(is_public(address) for address in addresses):
            raise _refusal(f"{host} does not lead to a public address, so nothing is fetched from it")
        return addresses[0]

    async def _read(self, url: httpx2.URL, address: str, largest: int) -> bytes:
        """The body of a plain answer from exactly this address."""
        headers = {"host": url.host, "accept": "image/*", "accept-encoding": "identity"}
        async with httpx2.AsyncClient(transport=self._transport, trust_env=False, timeout=self._seconds) as client:
            there = url.copy_with(host=address)
            ask = client.build_request("GET", there, headers=headers, extensions={"sni_hostname": url.host})
            answer = await client.send(ask, stream=True, follow_redirects=False)
            async with aclosing(answer):
                if answer.status_code != 200:
                    raise _refusal(f"{url.host} answered {answer.status_code}, expected 200", "image_unreachable")
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise _refusal(f"{url.host} sent its answer compressed, which was not asked for")
                data = bytearray()
                async for piece in answer.aiter_bytes():
                    data += piece
                    if len(data) > largest:
                        raise _refusal(
                            f"the image at {url.host} has more than {largest / 2**20:g} MiB", "image_too_large"
                        )
                return bytes(data)


def is_public(address: str) -> bool:
    """Whether an address is on the public Internet, also one of IPv4 within IPv6."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None or found in ipaddress.ip_network("64:ff9b::/96"):
            return inner is not None and is_public(str(inner))
    return found.is_global and not found.is_multicast


def _refusal(message: str, code: str = "image_not_allowed") -> Refusal:
    return Refusal(400, message, param="messages", code=code)
