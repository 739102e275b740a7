"""What every request goes through first and every answer last: who may ask, security headers, and counting.

The Host and Origin that a request names, and its token, tell who may ask. A page on another site can make a browser
send requests to a server on this machine: its Origin gives it away. A name of another site that suddenly means this
machine (DNS rebinding) makes the request look like our own page's: then the Host gives it away. Scripts name neither,
or the right ones.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fittingroom.serving.limits import RefusedError
from fittingroom.text import word_list

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from fittingroom.serving.batching import Metrics

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
            await error.response()(scope, receive, sending)
        finally:
            self._metrics.request(path, status, time.perf_counter() - started)


Headers = list[tuple[bytes, bytes]]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.IGNORECASE)
_LOOPBACK_NAMES = frozenset({"localhost"})


@dataclass(frozen=True)
class Security:
    """The rules of one server.

    Args:
        names: host names that mean this server, in lower case.
        any_address: whether a request may name any IP address. No other site can make one its own, as it can a name.
        token: what requests must bear; None where none is asked for.
    """

    names: frozenset[str]
    any_address: bool
    token: str | None

    def __repr__(self) -> str:
        return f"Security(names={sorted(self.names)}, token={'none' if self.token is None else 'set'})"

    @classmethod
    def of(cls, host: str) -> Security:
        """The rules for a server at an address: a token, if it is not this machine's own loopback address."""
        if _is_loopback(host):
            return cls(_LOOPBACK_NAMES, any_address=False, token=None)
        names = {name.lower() for name in (host, socket.gethostname(), socket.getfqdn())} | _LOOPBACK_NAMES
        return cls(frozenset(names), any_address=True, token=secrets.token_urlsafe(16))

    def check(self, method: str, path: str, headers: Headers) -> None:
        """Makes sure that a request may be served.

        Raises:
            RefusedError: 403 for its Host or Origin, 401 for its token.
        """
        host = self._checked_host(headers)
        origins = [value for name, value in headers if name == b"origin"]
        upgrades = any(name == b"upgrade" for name, _ in headers)
        if (method not in _SAFE or upgrades) and any(not _same_origin(origin, host) for origin in origins):
            raise RefusedError(
                403,
                "foreign_origin",
                f"Origin {_shown(origins[0])} is not allowed: only this server's own pages may send requests. "
                "Send it from a program.",
            )
        if self.token is not None and path != "/healthz":
            self._check_token(headers)

    def _checked_host(self, headers: Headers) -> bytes:
        """The Host that the request names, in lower case."""
        hosts = [value for name, value in headers if name == b"host"]
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None or not self._is_ours(match[1].decode("ascii").lower()):
            host = f"Host {', '.join(map(_shown, hosts))}" if hosts else "A request without a Host"
            known = word_list([*sorted(self.names), "its IP address" if self.any_address else "127.0.0.1"], "or")
            raise RefusedError(403, "foreign_host", f"{host} is not allowed. Use {known}.")
        return hosts[0].lower()

    def _is_ours(self, name: str) -> bool:
        return name in self.names or (_is_address(name) if self.any_address else _is_loopback(name))

    def _check_token(self, headers: Headers) -> None:
        sent = [value for name, value in headers if name == b"authorization"]
        kind, _, token = sent[0].partition(b" ") if len(sent) == 1 else (b"", b"", b"")
        # Compared as a whole and in constant time, so that the time it takes tells nothing.
        same = hmac.compare_digest(token.strip(), str(self.token).encode("ascii"))
        if kind.lower() != b"bearer" or not same:
            what = "a wrong token" if sent else "no token"
            raise RefusedError(
                401,
                "wrong_token" if sent else "no_token",
                f"The request has {what}. Send the header `Authorization: Bearer TOKEN` with the token that "
                "`fittingroom serve` printed when it started.",
                headers={"www-authenticate": 'Bearer realm="fittingroom"'},
            )


def _is_loopback(host: str) -> bool:
    """Whether a name or an address, perhaps in brackets, can be reached from this machine alone."""
    return host.lower() in _LOOPBACK_NAMES or (_is_address(host) and ipaddress.ip_address(host.strip("[]")).is_loopback)


def _is_address(host: str) -> bool:
    """Whether it is an IP address, of version 6 perhaps in brackets."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _same_origin(origin: bytes, host: bytes) -> bool:
    return origin.lower() in {b"http://" + host, b"https://" + host}


def _shown(value: bytes) -> str:
    return repr(value[:80].decode("latin-1"))
