"""What every request goes through first and every answer last: who may ask, security headers, and counting.

The Host and Origin that a request names, and its token, tell who may ask. A page on another site can make a browser
send requests to a server on this machine: its Origin gives it away. A name of another site that suddenly means this
machine (DNS rebinding) makes the request look like our own page's: then the Host gives it away. Scripts name neither,
or the right ones.

A link carries its token once: the page that it opens turns it into a cookie, and goes on by itself. A browser that
comes from another site or app, such as a chat, sends no SameSite=Strict cookie along, not even with the redirect that
follows at once. Only a page of our own, on which it stands first, makes the next request ours.
"""

from __future__ import annotations

import hmac
import html
import ipaddress
import re
import secrets
import socket
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

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
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]


class Gate:
    """An ASGI application in front of another. The other finds the request's role in its scope, under `ROLE`.

    Args:
        app: what serves the requests that may pass.
        security: says which.
        metrics: count all of them; None where nobody counts.
        paths: those that are counted by name; others are counted together, so that nobody can make up new ones.
        at_once: applications for the requests that come most often, by method and path, where they have no query.
            The way through a framework takes longer than a small model's answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        security: Security,
        metrics: Metrics | None = None,
        paths: frozenset[str] = frozenset(),
        at_once: Mapping[tuple[str, str], ASGIApp] | None = None,
    ) -> None:
        self._app, self._security, self._metrics, self._paths = app, security, metrics, paths
        self._at_once = at_once or {}

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
                headers = message.get("headers", ())
                own = {name for name, _ in headers}  # such as the caching of files that never change
                message["headers"] = [*headers, *(header for header in _HEADERS if header[0] not in own)]
            await send(message)

        path = scope["path"] if scope["path"] in self._paths else "other"
        try:
            method, asked, headers = scope["method"], scope["path"], scope["headers"]
            if page := self._security.page(method, asked, headers, scope["query_string"]):
                await page.response()(scope, receive, sending)
            else:
                scope[ROLE] = self._security.check(method, asked, headers)
                direct = None if scope["query_string"] else self._at_once.get((method, asked))
                await (direct or self._app)(scope, receive, sending)
        except RefusedError as error:
            as_page = self._security.links and _is_for_a_person(scope["headers"])
            answer = _refused(error) if as_page else error
            await answer.response()(scope, receive, sending)
        finally:
            if self._metrics is not None:
                self._metrics.request(path, status, time.perf_counter() - started)


Headers = list[tuple[bytes, bytes]]
Role = Literal["owner", "guest"]

ROLE = "fittingroom.role"
"""Where a request's scope says who asks."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN = frozenset({b"cross-site", b"same-site"})  # the same site at another port is another program
_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.IGNORECASE)
_LOOPBACK_NAMES = frozenset({"localhost"})


@dataclass(frozen=True)
class Security:
    """The rules of one server.

    Args:
        names: host names that mean this server, in lower case.
        any_address: whether a request may name any IP address. No other site can make one its own, as it can a name.
        token: what requests must bear; None where none is asked for, and everybody is the owner.
        guest: another token, with which one looks and tries but changes nothing; None where there is none.
        links: whether people come with browsers: by a link that turns its token into a cookie, and to pages that
            listen to a stream of events, which no page of another site may.
    """

    names: frozenset[str]
    any_address: bool
    token: str | None
    guest: str | None = None
    links: bool = False

    def __repr__(self) -> str:
        return f"Security(names={sorted(self.names)}, token={'none' if self.token is None else 'set'})"

    @classmethod
    def of(cls, host: str, *, links: bool = False, guests: bool = False) -> Security:
        """The rules for a server at an address: a token, if it is not this machine's own loopback address.

        Args:
            host: the address.
            links: whether people come with browsers.
            guests: whether there is a token for those who only look and try.
        """
        if _is_loopback(host):
            return cls(_LOOPBACK_NAMES, any_address=False, token=None, links=links)
        names = {name.lower() for name in (host, socket.gethostname(), socket.getfqdn())} | _LOOPBACK_NAMES
        guest = secrets.token_urlsafe(16) if guests else None
        return cls(frozenset(names), any_address=True, token=secrets.token_urlsafe(16), guest=guest, links=links)

    def link(self, url: str, role: Role = "owner") -> str:
        """The address that lets a browser in: that of the server itself where no token is asked for."""
        token = self.token if role == "owner" else self.guest
        return url if token is None else f"{url}{ENTRANCE}{token}"

    def page(self, method: str, path: str, headers: Headers, query: bytes = b"") -> TinyPage | None:
        """The gate's own answer to a request: to a link with a token, and to a click on another site.

        Raises:
            RefusedError: 403 for its Host, 401 for the link's token.
        """
        if not self.links or self.token is None or method != "GET":
            return None
        host = self._checked_host(headers)
        if path.startswith(ENTRANCE):
            token = path.removeprefix(ENTRANCE)
            if self._role_of(token.encode("utf-8", "replace")) is None:
                raise self._no_entrance("wrong_token", "This link is not valid any more.")
            return _entered(token, host)
        sent = dict(headers)
        # Its cookie was not sent along; the next request is our own page's, and it will be.
        if sent.get(b"sec-fetch-site") in _FOREIGN and sent.get(b"sec-fetch-mode") == b"navigate":
            same = urllib.parse.quote("/" + path.lstrip("/")) + (f"?{query.decode('latin-1')}" if query else "")
            return TinyPage("Continue", onward=same) if _cookie_token(headers, host) is None else None
        return None

    def check(self, method: str, path: str, headers: Headers) -> Role:
        """Makes sure that a request may be served.

        Returns:
            Who asks.

        Raises:
            RefusedError: 403 for its Host or Origin, 401 for its token.
        """
        host = self._checked_host(headers)
        origins = [value for name, value in headers if name == b"origin"]
        upgrades = any(name == b"upgrade" for name, _ in headers)
        foreign = [origin for origin in origins if not _same_origin(origin, host)]
        if self.links and not foreign and _is_of_another_site(headers):
            foreign = [b"of another site"]
        # A page of another site can read no answer of ours, but it could keep streams open, and guess by their timing.
        if foreign and (method not in _SAFE or upgrades or self.links):
            raise RefusedError(
                403,
                "foreign_origin",
                f"Origin {_shown(foreign[0])} is not allowed: only this server's own pages may send requests. "
                "Send it from a program.",
            )
        if self.token is None or path == "/healthz":
            return "owner"
        return self._checked_token(headers, host)

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

    def _checked_token(self, headers: Headers, host: bytes) -> Role:
        sent = [value for name, value in headers if name == b"authorization"]
        kind, _, token = sent[0].partition(b" ") if len(sent) == 1 else (b"", b"", b"")
        role = self._role_of(token.strip()) if kind.lower() == b"bearer" else None
        cookie = _cookie_token(headers, host) if self.links and not sent else None
        if cookie is not None:
            role = self._role_of(cookie)
        if role is not None:
            return role
        code, what = ("no_token", "no token") if not sent and cookie is None else ("wrong_token", "a wrong token")
        if self.links:
            raise self._no_entrance(code, f"The request has {what}.")
        raise RefusedError(
            401,
            code,
            f"The request has {what}. Send the header `Authorization: Bearer TOKEN` with the token that "
            "`fittingroom serve` printed when it started.",
            headers={"www-authenticate": 'Bearer realm="fittingroom"'},
        )

    def _role_of(self, token: bytes) -> Role | None:
        """Whose token it is."""
        # Compared as a whole and in constant time, so that the time it takes tells nothing.
        is_owner = hmac.compare_digest(token, str(self.token).encode("ascii"))
        is_guest = hmac.compare_digest(token, str(self.guest).encode("ascii")) and self.guest is not None
        return "owner" if is_owner else "guest" if is_guest else None

    @staticmethod
    def _no_entrance(code: str, what: str) -> RefusedError:
        mend = (
            "Open the link that was printed when the server started; each start has a new one. Programs send its token "
            "as the header `Authorization: Bearer TOKEN`."
        )
        return RefusedError(401, code, f"{what} {mend}", headers={"www-authenticate": 'Bearer realm="fittingroom"'})


def _is_for_a_person(headers: Headers) -> bool:
    """Whether a browser asks for a page that it will show, rather than a program or a page of ours for data."""
    return any(name == b"accept" and b"text/html" in value for name, value in headers)


def _is_of_another_site(headers: Headers) -> bool:
    """Whether a browser says that a page of another site, or of another port, asks for something to use in itself."""
    sent = dict(headers)
    return sent.get(b"sec-fetch-site") in _FOREIGN and sent.get(b"sec-fetch-mode") != b"navigate"


@lru_cache(256)
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


ENTRANCE = "/enter/"

_PAGE_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_TINY_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>Fitting Room</title>{refresh}</head>
<body><h1>Fitting Room</h1><p>{text}</p></body></html>
"""


@dataclass(frozen=True)
class TinyPage:
    """A page without styles or scripts.

    Args:
        text: what it says; its own markup is escaped.
        onward: the address within this server that follows at once; None for a page that stays.
        status: of HTTP.
        cookie: that it sets, as `Set-Cookie` has it.
    """

    text: str
    onward: str | None = None
    status: int = 200
    cookie: str | None = None

    def response(self) -> Any:
        """The page as Starlette sends it."""
        from starlette.responses import Response

        refresh, text = "", html.escape(self.text)
        if self.onward is not None:
            place = html.escape(self.onward)
            refresh = f'<meta http-equiv="refresh" content="0; url={place}">'
            text = f'<a href="{place}">{text}</a>'
        headers = {"content-security-policy": _PAGE_POLICY, "content-type": "text/html; charset=utf-8"}
        if self.cookie is not None:
            headers["set-cookie"] = self.cookie
        return Response(_TINY_PAGE.format(refresh=refresh, text=text), self.status, headers)


def _entered(token: str, host: bytes) -> TinyPage:
    """The page of a link whose token is right. It sets the cookie, then opens the first page."""
    cookie = f"{_cookie_name(host)}={token}; Path=/; HttpOnly; SameSite=Strict"
    return TinyPage("Continue to the first page", onward="/", cookie=cookie)


def _refused(error: RefusedError) -> TinyPage:
    """What a person sees where a program sees JSON."""
    return TinyPage(error.message, status=error.status)


def _cookie_name(host: bytes) -> str:
    """The cookie of the server at a Host. Browsers send cookies to all ports of a machine, so the name has its port."""
    _, colon, port = host.rpartition(b":")
    return f"fittingroom-{port.decode('ascii') if colon and port.isdigit() else 80}"


def _cookie_token(headers: list[tuple[bytes, bytes]], host: bytes) -> bytes | None:
    """The token in the cookie of a request; None where it has no such cookie."""
    name = _cookie_name(host).encode("ascii")
    for key, value in headers:
        if key == b"cookie":
            for part in value.split(b";"):
                known, _, token = part.strip().partition(b"=")
                if known == name:
                    return token
    return None
