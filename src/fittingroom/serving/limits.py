"""How much one request, one connection and all of them together may take, and the one form of every error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.requests import Request

MIB = 2**20


@dataclass(frozen=True)
class _Limits:
    """The server's limits. What exceeds them is refused with a status and a reason, never served slowly.

    Args:
        body_bytes: of a body with pictures; 413 beyond.
        json_bytes: of a JSON body, which is read at once and holds up all others meanwhile (20 ms for so many).
        images: in one request, and in one batch of the model.
        photos: pictures in one request that are not of the model's size, each of which takes 25 to 60 ms.
        waiting: images that wait for the model, of all requests; 503 beyond.
        waiting_photos: pictures that wait to be read and converted, of all requests; 503 beyond.
        held_bytes: of all bodies that are there at the same time; 503 beyond.
        connections: open at the same time; 503 beyond.
        patience: seconds in which a request's head must have arrived, and its body have begun; 408 beyond.
        pace: bytes per second that a body must keep up after that.
        longest: seconds in which a body must be whole, so that a few that keep just that pace cannot take up
            `held_bytes` for ten minutes; 408 beyond.
        idle: seconds after which a connection without a request is closed.
        overhead: bytes of a request that are not its body; 431 beyond.
        fields: lines of a head, and of the trailers after a body; 431 beyond.
        leftover: bytes of a body that are still read and thrown away after the request was refused, for at most
            `patience` seconds, so that the client comes to read the answer.
        unread: seconds that a client may take to read its answer.
    """

    body_bytes: int = 20 * MIB
    json_bytes: int = 2 * MIB
    images: int = 64
    photos: int = 16
    waiting: int = 128
    waiting_photos: int = 32
    held_bytes: int = 256 * MIB
    connections: int = 768
    patience: float = 1.5
    pace: int = 32 * 1024
    longest: float = 60.0
    idle: int = 5
    overhead: int = 64 * 1024
    fields: int = 256
    leftover: int = 32 * MIB
    unread: float = 10.0


LIMITS = _Limits()


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

    @classmethod
    def overloaded(cls, what: str) -> RefusedError:
        """503: there is too much to do at the moment, which a second mends."""
        message = f"{what}. Nothing of this request was done; try again in a second."
        return cls(503, "overloaded", message, headers={"retry-after": "1"})

    @property
    def body(self) -> bytes:
        """The answer's JSON."""
        error: dict[str, Any] = {"status": self.status, "code": self.code, "message": self.message}
        if self.index is not None:
            error["index"] = self.index
        return json.dumps({"error": error}, ensure_ascii=False).encode("utf-8", "backslashreplace")

    def response(self) -> Any:
        """The answer as Starlette sends it."""
        from starlette.responses import Response

        return Response(self.body, self.status, {**self.headers, "content-type": "application/json"})

    def as_http(self) -> bytes:
        """The whole answer as bytes, for connections that have no request yet; the connection is closed after it."""
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


def add_errors(app: FastAPI, instead: str, fault: str) -> None:
    """Gives every error of an application the form of `RefusedError`.

    Args:
        app: the application.
        instead: what to do in place of a request that does not exist, in a sentence.
        fault: what is said of a fault of ours, which the log explains.
    """
    from fastapi.exceptions import RequestValidationError as InvalidParameter
    from starlette.exceptions import HTTPException as RoutingError

    async def refused(_: Request, error: RefusedError) -> Any:
        return error.response()

    async def routing(request: Request, error: HTTPException) -> Any:
        message = f"{request.method} {request.url.path[:200]} does not exist. {instead}"
        code = {404: "not_found", 405: "wrong_method"}.get(error.status_code, "refused")
        return RefusedError(error.status_code, code, message, headers=error.headers).response()

    async def parameters(_: Request, error: RequestValidationError) -> Any:
        first = error.errors()[0]
        name, value = first["loc"][-1], str(first.get("input"))[:80]
        message = f"{name}={value!r}: {first['msg'].removeprefix('Input ')}."
        return RefusedError(422, "wrong_parameter", message).response()

    async def failed(_: Request, __: Exception) -> Any:
        return RefusedError(500, "fault", fault).response()

    app.exception_handler(RefusedError)(refused)
    app.exception_handler(RoutingError)(routing)
    app.exception_handler(InvalidParameter)(parameters)
    app.exception_handler(Exception)(failed)
