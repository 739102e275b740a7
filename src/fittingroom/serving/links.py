"""Links that carry a token once: the page that they open turns it into a cookie, and goes on by itself.

A browser that comes from another site or app, such as a chat, sends no SameSite=Strict cookie along, not even with the
redirect that follows at once. Only a page of our own, on which it stands first, makes the next request ours.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from fittingroom.serving.limits import RefusedError

ENTRANCE = "/enter/"

_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_PAGE = """<!doctype html>
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
        headers = {"content-security-policy": _POLICY, "content-type": "text/html; charset=utf-8"}
        if self.cookie is not None:
            headers["set-cookie"] = self.cookie
        return Response(_PAGE.format(refresh=refresh, text=text), self.status, headers)


def entered(token: str, host: bytes) -> TinyPage:
    """The page of a link whose token is right. It sets the cookie, then opens the first page."""
    cookie = f"{cookie_name(host)}={token}; Path=/; HttpOnly; SameSite=Strict"
    return TinyPage("Continue to the first page", onward="/", cookie=cookie)


def refused(error: RefusedError) -> TinyPage:
    """What a person sees where a program sees JSON."""
    return TinyPage(error.message, status=error.status)


def cookie_name(host: bytes) -> str:
    """The cookie of the server at a Host. Browsers send cookies to all ports of a machine, so the name has its port."""
    _, colon, port = host.rpartition(b":")
    return f"fittingroom-{port.decode('ascii') if colon and port.isdigit() else 80}"


def cookie_token(headers: list[tuple[bytes, bytes]], host: bytes) -> bytes | None:
    """The token in the cookie of a request; None where it has no such cookie."""
    name = cookie_name(host).encode("ascii")
    for key, value in headers:
        if key == b"cookie":
            for part in value.split(b";"):
                known, _, token = part.strip().partition(b"=")
                if known == name:
                    return token
    return None
