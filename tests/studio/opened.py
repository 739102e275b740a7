"""A studio in a process of its own, as `fittingroom studio` starts it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from tests.serving.serving import Reply, Serving, started


@dataclass
class StreamOfEvents:
    """The stream `/api/events` of one page."""

    connection: HTTPConnection
    response: HTTPResponse

    def next(self) -> dict[str, str]:
        """The next event: its fields by name."""
        fields: dict[str, str] = {}
        while line := self.response.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        return fields

    def of_kind(self, kind: str) -> dict[str, str]:
        """The next event of a kind."""
        while (event := self.next())["event"] != kind:
            pass
        return event


@contextmanager
def studio(folder: Path, *options: str, **more: str) -> Iterator[Serving]:
    """A studio of a folder of runs, ready, on a free port, with more of an environment; ended at the end."""
    environment = {
        "FITTINGROOM_RUNS_DIR": str(folder),
        "FITTINGROOM_LEDGER": str(folder.parent / "ledger.sqlite"),
        "DISPLAY": "",
        "WAYLAND_DISPLAY": "",
        **more,
    }
    arguments = ["studio", "--port", "0", "--no-browser", *options]
    with started(arguments, r"studio: http://\S+?:(\d+)", environment) as one:
        yield one


@contextmanager
def events(server: Serving, path: str = "/api/events", **headers: str) -> Iterator[StreamOfEvents]:
    """The stream of events, from its `hello` on."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=15)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield StreamOfEvents(connection, response)
    finally:
        connection.close()


def tokens(server: Serving) -> tuple[str, str]:
    """The tokens of the owner and of guests, from the links that were printed."""
    assert server.process.stderr is not None
    said = server.said + server.process.stderr.readline()
    owner, guest = re.findall(r"http://\S+/enter/([\w-]{22}) ", said)
    return owner, guest


def asked(
    app: Any, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", query: str = ""
) -> Reply:
    """What an ASGI application answers in this process, without a server."""
    sent = [{"type": "http.request", "body": body, "more_body": False}]
    parts: list[bytes] = []
    start: dict[str, Any] = {}

    async def receive() -> dict[str, Any]:
        return sent.pop() if sent else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    named = [(b"host", b"localhost"), *((key.lower().encode(), one.encode()) for key, one in (headers or {}).items())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "headers": named,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    known = {name.decode(): value.decode() for name, value in start["headers"]}
    return Reply(start["status"], known, b"".join(parts))
