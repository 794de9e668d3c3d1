"""The service as the command line asks it: one HTTP client, and its refusals as our errors."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halyard.errors import ConfigError, HalyardError

if TYPE_CHECKING:
    import httpx2

KEY = "HALYARD_API_KEY"
Url = Annotated[str, typer.Option(envvar="HALYARD_URL", help=f"Address of the service; its key is read from ${KEY}.")]
_SECONDS = 120.0


class Service:
    """A service of `halyard serve`, asked over HTTP with the key in the environment."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def get(self, path: str, **parameters: Any) -> Any:
        """What the service says of something; parameters that are None are left out.

        Raises:
            ConfigError: it refuses; the message is its own.
            HalyardError: it cannot be reached, or failed.
        """
        given = {name: value for name, value in parameters.items() if value is not None}
        with self._client() as client:
            return _answer(client.get(path, params=given))

    def post(self, path: str, **body: Any) -> Any:
        """What the service did.

        Raises:
            ConfigError: it refuses; the message is its own.
            HalyardError: it cannot be reached, or failed.
        """
        with self._client() as client:
            return _answer(client.post(path, json=body))

    def stream(self, path: str, **parameters: Any) -> Iterator[Any]:
        """The data of server-sent events, as they come.

        Raises:
            ConfigError: the service refuses; the message is its own.
            HalyardError: it cannot be reached, or failed.
        """
        headers = {"accept": "text/event-stream"}
        with (
            self._client() as client,
            client.stream("GET", path, params=parameters, headers=headers, timeout=None) as response,
        ):
            if response.is_error:
                response.read()
                _answer(response)
            for line in response.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    @contextmanager
    def _client(self) -> Iterator[httpx2.Client]:
        import httpx2

        key = os.environ.get(KEY)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        try:
            with httpx2.Client(base_url=f"{self.url}/v1", headers=headers, timeout=_SECONDS) as client:
                yield client
        except httpx2.HTTPError as error:
            raise HalyardError(
                f"the service at {self.url} cannot be reached ({error}); start one with `halyard serve RUN`, "
                "or say where it is with --url"
            ) from None
        except httpx2.InvalidURL as error:
            raise ConfigError(f"--url {self.url} is no address of a service: {error}") from None


def _answer(response: httpx2.Response) -> Any:
    if not response.is_error:
        return response.json()
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = f"{response.url} answered {response.status_code}: is it a service of `halyard serve`?"
    if response.status_code in (401, 403):
        message += f"; the key is read from ${KEY}"
    raise (HalyardError if response.status_code >= 500 else ConfigError)(message)
