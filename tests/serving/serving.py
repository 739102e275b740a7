"""A server in a process of its own, as `fittingroom serve` starts it, and ways to speak to it."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

START = "import sys; from fittingroom.cli.main import main; sys.exit(main())"


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON without NaN and Infinity."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        return json.loads(self.body, parse_constant=refuse)

    @property
    def error(self) -> dict[str, Any]:
        """The error, which must have our form and tell nothing of our insides."""
        assert set(self.json) == {"error"}
        error: dict[str, Any] = self.json["error"]
        assert error["status"] == self.status
        assert error["message"]
        assert b"Traceback" not in self.body
        assert b".py" not in self.body
        return error


@dataclass
class Serving:
    """A running server."""

    process: subprocess.Popen[str]
    port: int
    said: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        """One request on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {key.lower(): value for key, value in answer.headers.items()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def predict(self, body: bytes, kind: str = "image/png", query: str = "", **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", f"/v1/predict{query}", body, {"Content-Type": kind, **named})

    def numbers(self, values: Any) -> Reply:
        """Numbers as JSON; NaN and Infinity are written as Python writes them."""
        return self.predict(json.dumps(values).encode(), "application/json")

    def raw(self, pieces: Iterable[bytes], pause: float = 0.0, timeout: float = 10.0) -> Reply:
        """What comes back for these bytes, sent piece by piece until the server has answered or closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            selector = selectors.DefaultSelector()
            selector.register(connection, selectors.EVENT_READ)
            try:
                for piece in pieces:
                    connection.sendall(piece)
                    if selector.select(pause):
                        break
            except OSError:  # it closed on us, and has said why before
                pass
            return read_reply(connection)

    def end(self, sig: int = signal.SIGTERM) -> int:
        """Its exit status after a signal."""
        self.process.send_signal(sig)
        return self.process.wait(timeout=30)


def read_reply(connection: socket.socket) -> Reply:
    """The whole answer that a connection brings, however many pieces it comes in."""
    data = b""
    while True:
        head, found, rest = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if found and length is not None and len(rest) >= int(length[1]):
            break
        try:
            more = connection.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            break
        data += more
    assert data, "no answer"
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return Reply(int(lines[0].split()[1]), headers, rest)


@contextmanager
def serving(run: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Serving]:
    """A server that is ready, on a free port; ended at the end."""
    with started(
        ["serve", str(run), "--port", "0", *options], r"serving: .* at http://\S+?:(\d+);", environment
    ) as one:
        yield one


@contextmanager
def started(arguments: list[str], ready: str, environment: Mapping[str, str] | None = None) -> Iterator[Serving]:
    """A command that serves, once it has printed a line with its port; ended at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    try:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(ready, line):
                yield Serving(process, int(found[1]), said)
                return
        raise AssertionError(f"it did not start: {said}")
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(timeout=20)
        finally:
            process.kill()
            if process.stderr is not None:
                process.stderr.close()


def png(pixels: np.ndarray[Any, Any], form: str = "PNG", **options: Any) -> bytes:
    """A picture file of pixels."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


def multipart(*files: tuple[str, bytes], boundary: str = "limit") -> tuple[bytes, str]:
    """A multipart body of files, and its content type."""
    parts = [
        b"--" + boundary.encode() + b"\r\n"
        b'Content-Disposition: form-data; name="files"; filename="' + name.encode() + b'"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def memory_of(pid: int) -> int:
    """Bytes of memory that a process has."""
    fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def within(seconds: float, started: float) -> bool:
    """Whether less time has passed since a moment of `time.monotonic`."""
    return time.monotonic() - started < seconds
