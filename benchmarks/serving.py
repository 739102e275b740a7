"""Measures the server with `wrk`: throughput, latency, what it does with too much, and how much memory a flood takes.

Usage: python -m benchmarks.serving [--run RUN] [--seconds N] [--workers N] [--drift ROUNDS] [--peer ROUNDS]

With `--drift`, servers that watch for drift and servers with `--no-drift` are measured in turn instead, and compared.
With `--peer`, ours and the usual way to serve the same model (`serving_peer.py`) are measured in turn, and the figures
kept for the table of speed.

Without `--run`, the recipe `course` is trained on Fashion-MNIST first. The server and `wrk` share the machine's cores.
Each request has one PNG of 28x28 pixels, one of 64 validation images in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import fittingroom
from benchmarks.bars import Bar, keep
from benchmarks.pairs import markdown_table, versions
from benchmarks.sides import HERE, OURS, PEERS_PYTHON, our_versions

ROUNDS = 3
_PEER = "FastAPI, onnxruntime"
CHUNKS = 10_240  # of a MiB each

_SCRIPT = """
local bodies = {}
for i = 0, 63 do
  local file = io.open("FOLDER/" .. i .. ".png", "rb")
  bodies[i] = file:read("*a")
  file:close()
end
local threads, next = {}, 0
function setup(thread) table.insert(threads, thread) end
function init() ok, shed, other = 0, 0, 0 end
function request()
  next = (next + 1) % 64
  return wrk.format("POST", "/v1/predict", {["Content-Type"] = "image/png"}, bodies[next])
end
function response(status)
  if status == 200 then ok = ok + 1 elseif status == 503 then shed = shed + 1 else other = other + 1 end
end
function done(summary, latency)
  local ok, shed, other = 0, 0, 0
  for _, thread in ipairs(threads) do
    ok, shed, other = ok + thread:get("ok"), shed + thread:get("shed"), other + thread:get("other")
  end
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {"seconds": %f, "ok": %d, "shed": %d, "other": %d, "p50": %f, "p99": %f, "failed": %d}\\n',
    summary.duration / 1e6, ok, shed, other, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass(frozen=True)
class Server:
    """A running server."""

    pid: int
    port: int

    def ask(self, picture: bytes) -> tuple[int, float]:
        """Status and milliseconds of one request on a connection of its own."""
        started = time.perf_counter()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", "/v1/predict", picture, {"Content-Type": "image/png"})
        status = connection.getresponse().status
        connection.close()
        return status, 1e3 * (time.perf_counter() - started)

    @property
    def memory(self) -> int:
        """Bytes of memory that it has."""
        fields = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(run: Path, workers: int, *options: str) -> Iterator[Server]:
    """A server of a run, once it is ready."""
    command = [sys.executable, "-m", "fittingroom", "serve", str(run), "--port", "0", "--workers", str(workers)]
    command += options
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"serving: .* at http://\S+?:(\d+);", line):
                yield Server(process.pid, int(found[1]))
                break
            print(line, end="", file=sys.stderr)
    finally:
        process.terminate()
        print(f"The server ended with status {process.wait(timeout=30)}.")


def pictures(folder: Path) -> list[bytes]:
    """64 validation images as PNG, in files too."""
    part = fittingroom.load("fashion-mnist").validation
    assert part is not None
    found = []
    for number, image in enumerate(part.images[:64]):
        stream = BytesIO()
        Image.fromarray(np.asarray(image)).save(stream, "PNG")
        (folder / f"{number}.png").write_bytes(stream.getvalue())
        found.append(stream.getvalue())
    (folder / "post.lua").write_text(_SCRIPT.replace("FOLDER", str(folder)), encoding="utf-8")
    return found


def wrk(server: Server, folder: Path, connections: int, seconds: int) -> dict[str, Any]:
    """What `wrk` counted; latencies are of all answers, in milliseconds."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(folder / "post.lua")]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{server.port}"], capture_output=True, text=True, check=True, timeout=600
    )
    counted: dict[str, Any] = json.loads(done.stdout.rpartition("RESULT ")[2])
    return counted


def recovery(server: Server, picture: bytes, normal: float) -> float:
    """Seconds until five requests in a row are answered in no more than twice the `normal` milliseconds, or 5."""
    started, row = time.perf_counter(), 0
    while row < 5 and time.perf_counter() - started < 30:
        status, took = server.ask(picture)
        row = row + 1 if status == 200 and took <= max(2 * normal, 5.0) else 0
    return time.perf_counter() - started


def flood(server: Server) -> tuple[str, float, float, float]:
    """Status line, MiB sent, seconds, and MiB of memory more, for 10 GB sent in chunks."""
    before, highest, over = server.memory, 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not over.wait(0.01):
            highest = max(highest, server.memory)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started, sent = time.perf_counter(), 0
    head = (
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"100000\r\n" + bytes(2**20) + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head)
        try:
            for _ in range(CHUNKS):
                connection.sendall(chunk)
                sent += 1
        except OSError:
            pass
        answer = connection.recv(65_536)
    over.set()
    watcher.join()
    status = answer.split(b"\r\n")[0].decode("ascii", "replace")
    return status, float(sent), time.perf_counter() - started, (highest - before) / 2**20


def measure(server: Server, folder: Path, images: list[bytes], seconds: int) -> list[tuple[str, ...]]:
    """The rows of the table: what was measured, what came out, and what is promised."""
    wrk(server, folder, 32, 2)  # warm-up
    rounds = [wrk(server, folder, 32, seconds) for _ in range(ROUNDS)]
    rates = [one["ok"] / one["seconds"] for one in rounds]
    worst = max(one["p99"] for one in rounds)
    bad = sum(one["shed"] + one["other"] + one["failed"] for one in rounds)
    alone = [server.ask(images[0])[1] for _ in range(200)]
    normal = statistics.median(alone)
    storm = wrk(server, folder, 500, seconds)
    back = recovery(server, images[0], normal)
    status, sent, took, more = flood(server)
    return [
        (
            "32 at once, requests/s",
            f"{statistics.median(rates):,.0f} ({min(rates):,.0f}–{max(rates):,.0f})",
            "at least 1,200",
        ),
        ("32 at once, p50", f"{statistics.median(one['p50'] for one in rounds):.1f} ms", ""),
        ("32 at once, p99", f"{worst:.1f} ms", "at most 80 ms"),
        ("32 at once, not answered", f"{bad}", "0"),
        ("one at a time", f"{normal:.1f} ms", ""),
        (
            "500 at once",
            f"{storm['ok'] / storm['seconds']:,.0f}/s answered, {storm['shed'] / storm['seconds']:,.0f}/s 503, "
            f"{storm['other'] + storm['failed']} others",
            "0 others",
        ),
        ("500 at once, p99 of all answers", f"{storm['p99']:.0f} ms", ""),
        ("back to normal after it", f"{back:.2f} s", "within 1 s"),
        ("10 GB in chunks", f"{status} after {sent:,.0f} MiB and {took:.2f} s", "413"),
        ("its memory", f"{more:+.0f} MiB", "less than 50 MB"),
    ]


def drift_cost(run: Path, folder: Path, seconds: int, rounds: int) -> list[tuple[str, ...]]:
    """What watching for drift costs: two servers of a run beside each other, one of which does not, asked in turn."""
    ratios: dict[int, list[float]] = {1: [], 32: []}
    with serving(run, 1) as watching, serving(run, 1, "--no-drift") as plain:
        for connections, found in ratios.items():
            for server in (watching, plain):
                wrk(server, folder, connections, 2)  # warm-up
            for turn in range(rounds):
                order = (watching, plain) if turn % 2 else (plain, watching)
                done = {server.port: wrk(server, folder, connections, seconds) for server in order}
                rates = [done[server.port]["ok"] / done[server.port]["seconds"] for server in (watching, plain)]
                found.append(rates[0] / rates[1])
    return [
        (
            f"{connections} at once, requests/s with drift by those without",
            f"{statistics.median(found):.3f} ({min(found):.3f}–{max(found):.3f})",
            "at least 0.98",
        )
        for connections, found in ratios.items()
    ]


@contextmanager
def peer_serving(model: Path) -> Iterator[Server]:
    """FastAPI and onnxruntime with the same model, once it answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        listening.set_inheritable(True)
        command = [PEERS_PYTHON, str(HERE / "serving_peer.py"), str(model), str(listening.fileno())]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()])
        try:
            yield Server(process.pid, listening.getsockname()[1])
        finally:
            process.terminate()
            process.wait(timeout=30)


def against_peer(run: Path, folder: Path, images: Sequence[bytes], seconds: int, rounds: int) -> list[Bar]:
    """Requests a second of both servers of one model, asked in turn, with one and with 32 requests at once."""
    model = fittingroom.open_run(run).export("onnx", folder / "model.onnx").path
    bars = []
    with serving(run, 1) as ours, peer_serving(model) as theirs:
        for server in (ours, theirs):
            assert server.ask(images[0])[0] == 200
        for connections, title in ((32, "requests a second, 32 at once"), (1, "requests a second, one at a time")):
            for server in (ours, theirs):
                wrk(server, folder, connections, 2)  # warm-up
            rates: dict[int, list[float]] = {ours.port: [], theirs.port: []}
            for turn in range(rounds):
                for server in (ours, theirs) if turn % 2 else (theirs, ours):
                    done = wrk(server, folder, connections, seconds)
                    rates[server.port].append(done["ok"] / done["seconds"])
            sides = rates[ours.port], rates[theirs.port]
            bars.append(Bar(title, _PEER, *sides, unit="/s", digits=0, ratio="ours / theirs"))
    return bars


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--drift", type=int, default=0, metavar="ROUNDS")
    parser.add_argument("--peer", type=int, default=0, metavar="ROUNDS")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = arguments.run or fittingroom.train("fashion-mnist", "course", out=folder / "run").path
        images = pictures(folder)
        if arguments.drift:
            rows = drift_cost(run, folder, arguments.seconds, arguments.drift)
            print(markdown_table([("", "measured", "promised"), *rows]))
            return
        if arguments.peer:
            bars = against_peer(run, folder, images, arguments.seconds, arguments.peer)
            modules = ("fastapi", "uvicorn", "onnxruntime")
            keep("serving", bars, {"versions": {OURS: our_versions(), _PEER: versions(PEERS_PYTHON, modules, {})}})
            return
        with serving(run, arguments.workers) as server:
            rows = measure(server, folder, images, arguments.seconds)
    print(markdown_table([("", "measured", "promised"), *rows]))


if __name__ == "__main__":
    main()
