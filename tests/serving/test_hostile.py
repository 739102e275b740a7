"""Hostile requests: each is answered within two seconds with a 4xx and an error in our form, and the server goes on."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contracts.source import ROOT
from tests.hostile.pictures import chunk, huge_webp, saved, text_bomb
from tests.hostile.pictures import png as zeros
from tests.serving.serving import Serving, memory_of, multipart, png, read_reply, within

_RUN = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"
SMALL = png(np.zeros((8, 8), np.uint8))
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest) -> Iterator[None]:
    """No answer here takes longer than two seconds."""
    started = time.monotonic()
    yield
    if request.node.get_closest_marker("slow") is None and "schemathesis" not in request.node.name:
        assert within(3, started)  # with what the machine does besides


def cut_off(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def many_scans() -> bytes:
    """A progressive JPEG of 13 million pixels that adds nothing to them 500,000 times, 10 ms each time."""
    content = saved((3600, 3600), "JPEG", "L", progressive=True)
    return content[:-2] + content[content.rindex(b"\xff\xda") : -2] * 500_000 + content[-2:]


PICTURES: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "13,300 x 13,300": (lambda: zeros(13_300, 13_300), "image/png", r"13300×13300 pixels; at most"),
    "2^31 x 1": (lambda: zeros(2**31 - 1, 1), "image/png", "pixel"),
    "WebP of 268 million pixels": (huge_webp, "image/webp", "pixels; at most"),
    "nothing": (lambda: b"", "image/png", "is not an image: it is empty"),
    "text": (lambda: b"hello", "image/png", "is not an image: it looks like text"),
    "cut-off JPEG": (
        lambda: cut_off(saved((300, 200), "JPEG", quality=95)),
        "image/jpeg",
        "cut off or damaged|cannot be decoded",
    ),
    "JPEG of 500,000 scans": (many_scans, "image/jpeg", "more than 100 scans"),
    "PNG of 1,600,000 chunks": (
        lambda: zeros(40, 40, extra=chunk(b"abCd", b"") * 1_600_000),
        "image/png",
        "more than 10,000 chunks",
    ),
    "cut-off PNG of the model's size": (
        lambda: cut_off(png(np.random.default_rng(0).integers(0, 255, (8, 8), np.uint8))),
        "image/png",
        "cut off",
    ),
    "SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png", r"SVG.*Accepted are JPEG, PNG"),
    "PDF": (lambda: b"%PDF-1.7\n", "image/jpeg", r"a PDF document. Accepted are"),
    "HEIC": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/webp", r"HEIC.*Accepted are"),
    "TIFF": (lambda: saved((40, 40), "TIFF"), "image/png", "is a TIFF picture, which cannot be read"),
    "1 x 1": (lambda: saved((1, 1), "PNG"), "image/png", "too few to find a foreground"),
    "10,000 x 1": (lambda: saved((10_000, 1), "PNG"), "image/png", "too few to find a foreground"),
    "a text of 256 MB": (text_bomb, "image/png", "."),
    "a program": (lambda: b"\x7fELF" + bytes(100), "image/png", "is not an image"),
}


@pytest.mark.parametrize(("make", "kind", "message"), PICTURES.values(), ids=PICTURES)
def test_pictures_that_are_none(server: Serving, make: Callable[[], bytes], kind: str, message: str) -> None:
    reply = server.predict(make(), kind)
    assert reply.status == 422
    assert reply.error["index"] == [0]
    assert re.search(message, reply.error["message"], re.DOTALL)
    assert "/" not in reply.error["message"].split(" ")[2]  # no path of this machine


def image() -> list[list[Any]]:
    return [[0.0] * 8 for _ in range(8)]


def changed(value: Any) -> list[list[Any]]:
    values = image()
    values[3][5] = value
    return values


VALUES: dict[str, tuple[Any, list[int], str]] = {
    "63 values": ([*image()[:7], [0] * 7], [7], r"at \[7\] has 7 values instead of 8"),
    "flat": ([0] * 64, [], r"has 64 values instead of 8"),
    "nested deeper": ([[[[0] * 8]] * 8], [0, 0], r"at \[0, 0\] has 1 value instead of 8"),
    "text": (changed("3"), [3, 5], r'"3" at \[3, 5\] is not a number'),
    "null": (changed(None), [3, 5], r"null at \[3, 5\] is not a number"),
    "a truth value": (changed(True), [3, 5], r"true at \[3, 5\] is not a number"),
    "infinity": (changed(float("inf")), [3, 5], r"Infinity at \[3, 5\] is not finite"),
    "NaN in the second image": ([image(), changed(float("nan"))], [1, 3, 5], r"NaN at \[1, 3, 5\] is not finite"),
    "too large": (changed(256), [3, 5], r"256 at \[3, 5\] is outside 0 to 255"),
    "a thousand digits": (changed(10**1000), [3, 5], r"is outside 0 to 255"),
    "negative": (changed(-1), [3, 5], r"-1 at \[3, 5\] is outside"),
    "an object": ({"image": image()}, [], r"is not a list of 8 values"),
    "a number": (7, [], r"7 is not a list"),
    "an empty list": ([], [], r"has 0 values"),
}


@pytest.mark.parametrize(("values", "index", "message"), VALUES.values(), ids=VALUES)
def test_numbers_that_are_no_image(server: Serving, values: Any, index: list[int], message: str) -> None:
    reply = server.numbers(values)
    assert reply.status == 422
    assert reply.error["index"] == index
    assert re.search(message, reply.error["message"])


def test_values_above_the_models_scale_are_converted_and_it_is_said(server: Serving) -> None:
    reply = server.numbers(changed(255))
    assert reply.status == 200
    assert "up to 255 were taken as 0-255 and converted to 0-16" in reply.body.decode()
    assert (
        reply.json["predictions"][0]["probabilities"]
        == server.numbers(changed(16)).json["predictions"][0]["probabilities"]
    )


@pytest.mark.parametrize("body", [b"{", b"", b"[" * 100_000, b"\xff\xfe", b"[1e9999999999999", b"1" * 5000])
def test_no_json(server: Serving, body: bytes) -> None:
    assert server.predict(body, "application/json").error["code"] == "not_json"


def test_too_many_at_once(server: Serving) -> None:
    assert server.numbers([image()] * 65).error["code"] == "too_many"
    body, kind = multipart(*[("x.png", SMALL)] * 1000)
    reply = server.predict(body, kind)
    assert (reply.status, reply.error["code"]) == (413, "too_many")
    body, kind = multipart(*[("x.png", saved((40, 40), "PNG"))] * 17)
    assert server.predict(body, kind).status == 413
    assert server.predict(b"[" + b"1," * 2**20 + b"1]", "application/json").status == 413


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "image/svg+xml", "application/octet-stream"]
)
def test_wrong_types(server: Serving, kind: str) -> None:
    reply = server.predict(SMALL, kind)
    assert reply.status == 415
    assert "image/png" in reply.error["message"]


def test_packed_bodies(server: Serving) -> None:
    assert server.predict(SMALL, content_encoding="gzip").status == 415


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=limit", b"x"),
        ("multipart/form-data; boundary=limit", multipart(("x", SMALL))[0][:-12]),
        ("multipart/form-data; boundary=" + "b" * 500, b"x"),
        ("multipart/form-data; boundary=limit", b"--limit\r\n" + b"A: b\r\n" * 1000),
        ("multipart/form-data; boundary=limit", b"--limit--\r\n"),
    ],
)
def test_multipart_that_is_none(server: Serving, kind: str, body: bytes) -> None:
    assert server.predict(body, kind).status in {400, 422}


def test_file_names_are_data(server: Serving) -> None:
    name = "../../etc/passwd <script>"
    body, kind = multipart((name, SMALL), ("b.png", b"none"))
    reply = server.predict(body, kind)
    assert (reply.status, reply.error["index"]) == (422, [1])
    body, kind = multipart((name, SMALL))
    assert server.predict(body, kind).json["predictions"][0]["file"] == name


def test_a_parameter_with_a_wrong_value(server: Serving) -> None:
    reply = server.predict(SMALL, query="?steps=all")
    assert reply.status == 422
    assert "'names' or 'pictures'" in reply.error["message"]


def test_a_declared_body_over_the_limit_is_refused_before_it_comes(server: Serving) -> None:
    reply = server.raw([HEAD + b"Content-Length: 10000000000\r\nExpect: 100-continue\r\n\r\n"])
    assert reply.status == 413
    assert "20,971,520" in reply.error["message"]


def test_ten_gigabytes_in_chunks_are_cut_off_and_take_no_memory(server: Serving) -> None:
    before, highest, over = memory_of(server.process.pid), 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not over.wait(0.02):
            highest = max(highest, memory_of(server.process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    chunk = b"100000\r\n" + bytes(2**20) + b"\r\n"
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        for _ in range(10_000):
            sent += 1
            yield chunk

    reply = server.raw(chunks())
    over.set()
    watcher.join()
    assert reply.status == 413
    assert reply.error["code"] == "too_large"
    assert sent < 100
    assert highest - before < 50 * 2**20


def test_a_body_that_dribbles(server: Serving) -> None:
    started = time.monotonic()
    reply = server.raw([HEAD + b"Content-Length: 100\r\n\r\n", *[b"x"] * 8], pause=0.4)
    assert reply.status == 408
    assert within(2, started)
    assert "too_slow" in reply.error["code"]


def test_a_head_that_dribbles(server: Serving) -> None:
    started = time.monotonic()
    reply = server.raw((bytes([byte]) for byte in HEAD[:8]), pause=0.4)
    assert reply.status == 408
    assert reply.error["code"] == "too_slow"
    assert within(2, started)


def test_an_endless_head(server: Serving) -> None:
    reply = server.raw([b"GET / HTTP/1.1\r\nHost: localhost\r\n", *[b"A: " + b"b" * 60_000] * 50])
    assert reply.status == 431
    assert server.raw([b"GET / HTTP/1.1\r\nHost: localhost\r\n", *[b"A: b\r\n" * 10_000] * 50]).status == 431


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"GET /healthz HTTP/1.1\r\nA: " + b"b" * 150_000 + b"\r\n\r\n", "65,536 bytes"),
        (b"GET /" + b"a" * 150_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", "65,536 bytes"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 300 + b"\r\n", "256 lines"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"A:\r\n" * 25_000 + b"\r\n", "256 lines"),
    ],
)
def test_a_head_that_is_too_large_is_refused_although_it_comes_at_once(
    head: bytes, message: str, server: Serving
) -> None:
    reply = server.raw([head])
    assert reply.status == 431
    assert message in reply.error["message"]


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n",
        HEAD + b"Transfer-Encoding: squeezed\r\n\r\nabc",
        HEAD + b"Transfer-Encoding: chunked, squeezed\r\n\r\nabc",
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_bad_framing_is_refused(request_: bytes, at_once: bool, server: Serving) -> None:
    head, end, body = request_.partition(b"\r\n\r\n")
    reply = server.raw([request_] if at_once else [head + end, body], pause=0.2)
    assert reply.status == 400
    assert reply.error["code"] == "not_http"


def test_a_body_after_a_refusal_is_not_read_without_end(server: Serving) -> None:
    """Ten gigabytes to a page that takes no body."""
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"POST /docs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n")
        try:
            for _ in range(10_000):
                connection.sendall(bytes(2**20))
                sent += 1
        except OSError:
            pass
    assert sent < 200


@pytest.mark.parametrize(
    "request_",
    [
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET \xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA\0: b\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_not_http(server: Serving, request_: bytes) -> None:
    reply = server.raw([request_])
    assert 400 <= reply.status < 500
    assert reply.error


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/predict", 405),
        ("DELETE", "/v1/model", 405),
        ("POST", "/docs", 405),
        ("OPTIONS", "/v1/predict", 405),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/v1/model/", 404),
        ("TRACE", "/", 405),
    ],
)
def test_pages_and_methods_that_are_not_there(server: Serving, method: str, path: str, status: int) -> None:
    reply = server.ask(method, path)
    assert reply.status == status
    assert "/v1/predict" in reply.error["message"]
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_a_client_that_goes_away_disturbs_nobody(server: Serving) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(SMALL) + SMALL[:10])
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(SMALL) + SMALL)
    assert server.predict(SMALL).status == 200
    assert json.loads(server.predict(SMALL).body)


def head_of(kind: str, body: bytes) -> bytes:
    head = (
        f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode()


def test_too_much_at_once_is_refused_with_retry_after_and_soon_over(server: Serving) -> None:
    body, kind = multipart(*[("x.png", SMALL)] * 64)
    connections = []
    for _ in range(60):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        connection.sendall(head_of(kind, body) + body[:-1])
        connections.append(connection)
    for connection in connections:
        connection.sendall(body[-1:])
    replies = [read_reply(connection) for connection in connections]
    ended = time.monotonic()
    assert {reply.status for reply in replies} == {200, 503}
    for refused in (reply for reply in replies if reply.status == 503):
        assert refused.headers["retry-after"] == "1"
        assert refused.error["code"] == "overloaded"
    for connection in connections:
        connection.close()
    assert server.predict(SMALL).status == 200
    assert within(1, ended)


@pytest.mark.slow
def test_more_connections_than_there_may_be(server: Serving) -> None:
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(800)]
    assert connections[-1].recv(100).startswith(b"HTTP/1.1 503")
    for connection in connections:
        connection.close()
    time.sleep(0.5)
    assert server.predict(SMALL).status == 200


def test_the_server_asks_for_all_of_it(server: Serving) -> None:
    for headers in ({"Host": "example.org"}, {"Origin": "null"}, {"Origin": "http://example.org"}):
        reply = server.ask("POST", "/v1/predict", b"", {"Content-Type": "image/png", **headers})
        assert reply.status == 403
        assert reply.error["code"] in {"foreign_host", "foreign_origin"}
    websocket = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "x",
    }
    assert server.ask("GET", "/v1/predict", headers={**websocket, "Origin": "http://example.org"}).status == 403
    assert server.ask("GET", "/v1/predict", headers=websocket).status == 405


def findings(server: Serving, folder: Path, *options: str) -> str:
    """What schemathesis says, which must be that it found nothing."""
    config = ["--config-file", str(ROOT / "schemathesis.toml")]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *config, "run", f"{server.url}/openapi.json", "--no-color", *options],
        cwd=folder,  # it leaves files behind
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return done.stdout


def test_schemathesis_finds_nothing(server: Serving, tmp_path: Path) -> None:
    said = findings(server, tmp_path, "--max-examples", "10")
    assert "No issues found" in said
    assert "6 selected" in said


@pytest.mark.slow
def test_schemathesis_finds_nothing_in_many_tries(server: Serving, tmp_path: Path) -> None:
    assert "No issues found" in findings(server, tmp_path, "--max-examples", "500", "--checks", "all")
