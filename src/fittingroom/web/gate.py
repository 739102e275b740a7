"""What every request goes through first and every answer last: who asks, security headers, and counting."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fittingroom.web.metrics import Metrics
from fittingroom.web.refusals import RefusedError
from fittingroom.web.security import Security

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with `no-referrer`, our own form would have the Origin `null`
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Gate:
    """An ASGI application in front of another.

    Args:
        app: what serves the requests that may pass.
        security: says which.
        metrics: count all of them.
        paths: those that are counted by name; others are counted together, so that nobody can make up new ones.
    """

    def __init__(self, app: ASGIApp, security: Security, metrics: Metrics, paths: frozenset[str]) -> None:
        self._app, self._security, self._metrics, self._paths = app, security, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"] = [*message.get("headers", ()), *_HEADERS]
                if all(name != _POLICY[0] for name, _ in headers):
                    headers.append(_POLICY)
            await send(message)

        path = scope["path"] if scope["path"] in self._paths else "other"
        try:
            self._security.check(scope["method"], scope["path"], scope["headers"])
            await self._app(scope, receive, sending)
        except RefusedError as error:
            await refused(error)(scope, receive, sending)
        finally:
            self._metrics.request(path, status, time.perf_counter() - started)


def refused(error: RefusedError) -> Any:
    """The answer to a request that is not served."""
    from starlette.responses import Response

    return Response(error.body, error.status, {**error.headers, "content-type": "application/json"})
