"""How a server begins and ends, for whom, and what it does when there is too much to do."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fittingroom.errors import InputError
from fittingroom.serving.limits import LIMITS
from fittingroom.serving.server import check_server
from tests.hostile.pictures import png as zeros
from tests.serving.serving import START, Serving, multipart, png, serving, within

SMALL = png(np.arange(64, dtype=np.uint8).reshape(8, 8))
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"


def begun(server: Serving) -> socket.socket:
    """A connection with a request that lacks its last bytes."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(HEAD % (b"image/png", len(SMALL)) + SMALL[:-5])
    time.sleep(0.2)
    return connection


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()))


def test_a_signal_lets_what_was_begun_finish_and_the_run_may_be_gone(digits_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(digits_run, copy)
    with serving(copy) as server:
        expected = server.predict(SMALL).json
        shutil.rmtree(copy)
        assert server.predict(SMALL).json == expected
        assert server.get("/v1/model").json["classes"] == expected["classes"]
        with begun(server) as connection:
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(("127.0.0.1", server.port))
            connection.sendall(SMALL[-5:])
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert server.process.wait(timeout=10) == 0


def wait_until_it_is_ending(server: Serving) -> None:
    """Returns when nobody is heard on the port any more: the first signal has come through."""
    with contextlib.suppress(ConnectionRefusedError):
        while True:
            socket.create_connection(("127.0.0.1", server.port), timeout=10).close()
            time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_it_at_once(digits_run: Path, sig: signal.Signals) -> None:
    """The pictures are large, so they are still being decoded when the second signal comes; nobody gets an answer."""
    body, kind = multipart(*[("photo.png", zeros(6000, 6000))] * LIMITS.photos)
    with serving(digits_run) as server, socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(HEAD[:-2] % (kind.encode(), len(body)) + b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100")  # the request has begun
        connection.sendall(body)
        server.process.send_signal(sig)
        wait_until_it_is_ending(server)
        assert server.process.poll() is None
        server.process.send_signal(sig)
        assert b" 200 " not in all_of(connection)
        assert server.process.wait(timeout=30) == 0


def all_of(connection: socket.socket) -> bytes:
    """What comes until the connection is closed."""
    with contextlib.suppress(ConnectionResetError), connection.makefile("rb") as stream:
        return stream.read()
    return b""


def test_other_addresses_need_the_token_which_is_printed_once(digits_run: Path) -> None:
    with serving(digits_run, "--host", "0.0.0.0") as server:
        (token,) = re.findall(r"token: ([\w-]{22}) ", server.said)
        for path in ("/v1/model", "/metrics", "/docs", "/nothing"):
            reply = server.get(path)
            assert reply.status == 401
            assert reply.error["code"] == "no_token"
            assert "bearer" in reply.headers["www-authenticate"].lower()
        assert server.predict(SMALL, Authorization="Bearer wrong").error["code"] == "wrong_token"
        assert server.predict(SMALL, Authorization=f"Bearer {token}").status == 200
        assert b"<form" not in server.get("/docs", Authorization=f"Bearer {token}").body
        assert server.get("/healthz").status == 200
        assert server.end() == 0
        assert server.process.stderr is not None
        assert token not in server.process.stderr.read()


def never_reads(server: Serving) -> socket.socket:
    """A connection that asks until the server writes no more, and reads nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    connection.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        for _ in range(2000):
            connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)
    return connection


@pytest.mark.slow
def test_a_client_that_never_reads_leaves_nothing_in_the_log(digits_run: Path) -> None:
    with serving(digits_run) as server:
        with never_reads(server):
            time.sleep(LIMITS.unread + 2)
        assert server.get("/healthz").status == 200
        assert server.end() == 0
        assert server.process.stderr is not None
        assert "Traceback" not in server.process.stderr.read()


def test_there_are_no_more_processes_than_cores() -> None:
    check_server(2, 2)
    with pytest.raises(InputError, match=r"--workers 1,000 is more than the 2 cores .* Use at most --workers 2\."):
        check_server(1000, 2)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_signal_ends_a_start(digits_run: Path, workers: int) -> None:
    command = [sys.executable, "-c", START, "serve", str(digits_run), "--port", "0", "--workers", str(workers)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    time.sleep(0.3)  # JAX alone takes longer to import, so that nothing is served yet
    process.terminate()
    _, said = process.communicate(timeout=10)
    assert "serving:" not in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_several_processes_share_the_port_and_their_numbers(digits_run: Path) -> None:
    with serving(digits_run, "--workers", "2") as server:
        answers = [server.predict(SMALL) for _ in range(40)]
        assert len({answer.body for answer in answers}) == 1
        text = server.get("/metrics").body.decode()
        assert 'fittingroom_requests_total{path="/v1/predict",status="200"} 40.0' in text
        assert "fittingroom_images_waiting 0.0" in text
        with begun(server) as connection:
            server.process.send_signal(signal.SIGTERM)
            time.sleep(1)
            connection.sendall(SMALL[-5:])
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert server.process.wait(timeout=20) == 0


@pytest.mark.slow
def test_the_second_signal_ends_several_processes_at_once(digits_run: Path) -> None:
    with serving(digits_run, "--workers", "2") as server:
        workers = children(server.process.pid)
        assert len(workers) >= 2
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            # So much at once may be followed by the rest within 10 seconds, and would be waited for.
            connection.sendall(HEAD % (b"image/png", 10**6) + bytes(9 * LIMITS.pace))
            time.sleep(0.2)
            started = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            time.sleep(1)
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=10) == 0
            assert within(3, started)
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            assert within(5, started)
            time.sleep(0.05)


@pytest.mark.slow
def test_a_run_of_plain_arrays_takes_numbers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fittingroom

    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    import keras

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, activation="softmax")])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    run = fittingroom.fit(model, rng.normal(size=(60, 5)).astype(np.float32), rng.integers(0, 3, 60), verbose=0)
    with serving(run.path) as server:
        assert server.numbers([[0.5, -2.0, 1.5, 0, 1]] * 3).status == 200
        refused = server.numbers([[0.5, -2.0, 1e3, 0, 1]] * 3).error
        assert refused["code"] == "wrong_values"
        assert "values from -2 to 1,000, and the training images from -" in refused["message"]
        assert server.numbers([0.5, -2.0, 1e3, 0]).error["code"] == "wrong_shape"
        assert server.predict(SMALL).error["code"] == "no_pictures"
