"""What the server does not do, and why: the one JSON form of every error, whatever went wrong and wherever."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

RETRY_AFTER = {"retry-after": "1"}
"""For what a moment mends: seconds after which to try again."""


class RefusedError(Exception):
    """A request that is not served.

    Args:
        status: of HTTP.
        code: one word for programs, such as `too_large`.
        message: what arrived, what was expected, how to mend it.
        headers: that the answer has besides.
        index: where in the request it lies: the number of the image, and the row and column in it.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        index: list[int] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})
        self.index = index

    @property
    def body(self) -> bytes:
        """The answer's JSON."""
        error: dict[str, Any] = {"status": self.status, "code": self.code, "message": self.message}
        if self.index is not None:
            error["index"] = self.index
        return json.dumps({"error": error}, ensure_ascii=False).encode("utf-8", "backslashreplace")

    def as_http(self) -> bytes:
        """The whole answer as bytes, for where no request has come to be yet; the connection is closed after it."""
        headers = {
            "content-type": "application/json",
            "content-length": str(len(self.body)),
            "x-content-type-options": "nosniff",
            "connection": "close",
            **self.headers,
        }
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def overloaded(what: str) -> RefusedError:
    """There is too much to do at the moment."""
    return RefusedError(
        503, "overloaded", f"{what}. Nothing of this request was done; try again in a second.", headers=RETRY_AFTER
    )
