"""What the service refuses, in the shape that OpenAI's clients know."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel

from halyard.errors import HalyardError

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    409: "conflict_error",
    410: "not_found_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    421: "invalid_request_error",
    429: "rate_limit_error",
}


class Fault(BaseModel):
    """What is wrong with a request, or with the service."""

    message: str
    type: str
    param: str | None
    code: str | None


class Failed(BaseModel):
    """The body of every answer that is an error."""

    error: Fault


class Refusal(HalyardError):
    """A request that is not served: an HTTP status and a sentence that says what to do.

    `param` is the part of the request that is wrong, `code` a word for programs, `retry_after` the seconds
    after which another try may succeed.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.retry_after = retry_after

    @property
    def body(self) -> dict[str, Any]:
        """The refusal as OpenAI writes errors."""
        kind = _KINDS.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """Headers that go with it."""
        headers = {} if self.retry_after is None else {"retry-after": str(max(1, math.ceil(self.retry_after)))}
        return headers | ({"www-authenticate": "Bearer"} if self.status == 401 else {})
