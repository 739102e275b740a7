"""A Chromium of this machine, without a window, that runs a page and says what it gives.

It is driven by its own protocol (https://chromedevtools.github.io/devtools-protocol/) over two pipes, so that no
package is needed and no port is opened.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.errors import InputError, ModelError
from fittingroom.exports.export_subject import Array

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "chrome")
_ON_MACS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
_ARGUMENTS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
# The browser reads from descriptor 3 and writes to 4.
_STARTER = (
    "import fcntl, os, sys; one, other = (fcntl.fcntl(int(text), fcntl.F_DUPFD, 10) for text in sys.argv[1:3]); "
    "os.dup2(one, 3); os.dup2(other, 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_START = 30.0  # seconds that a browser may take to start and open a page
_LONGEST = 600.0  # seconds that it may take to answer
_BYTES_AT_ONCE = 2**22


def chromium_path() -> str | None:
    """The program of a browser that is made from Chromium; None where none is found."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return found or next((path for path in _ON_MACS if sys.platform == "darwin" and Path(path).exists()), None)


class Chromium:
    """A browser with one page, open until `close` or until nobody holds it.

    Args:
        html: content of the page.

    Raises:
        InputError: there is no such browser, or it does not start.
    """

    def __init__(self, html: bytes) -> None:
        path = chromium_path()
        if path is None:
            raise InputError("No Chromium, Chrome or Edge was found to run the page in.")
        if os.name != "posix":
            raise InputError("On Windows the page is not run to check it.")
        folder = Path(tempfile.mkdtemp(prefix="fittingroom-page-"))
        (folder / "page.html").write_bytes(html)
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        profile = f"--user-data-dir={folder / 'profile'}"
        root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # as root it starts in no other way
        self._process = subprocess.Popen(
            [sys.executable, "-ISc", _STARTER, str(to_read), str(to_write), path, *_ARGUMENTS, *root, profile],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._waiting, self._count, self._session = b"", 0, ""
        self.close = weakref.finalize(self, _end, self._process, (self._read, self._write), folder)
        try:
            self._open((folder / "page.html").as_uri())
        except (OSError, ModelError) as error:
            self.close()
            raise InputError(f"{Path(path).name} does not start here without a window. {error}") from error

    def value(self, expression: str, seconds: float = _LONGEST) -> Any:
        """What JavaScript in the page gives, as plain JSON; a promise is awaited.

        Raises:
            ModelError: the page fails, with its own message, or gives nothing in this time.
        """
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        found = self._ask("Runtime.evaluate", asked, seconds)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            text = details.get("exception", {}).get("description") or details.get("text")
            raise ModelError(f"The page fails in the browser: {text}")
        return found["result"].get("value")

    def _open(self, address: str) -> None:
        target = self._ask("Target.createTarget", {"url": address}, _START)["targetId"]
        attached = self._ask("Target.attachToTarget", {"targetId": target, "flatten": True}, _START)
        self._session = attached["sessionId"]
        end = time.monotonic() + _START
        while not self.value(f"location.href === {json.dumps(address)} && document.readyState === 'complete'", _START):
            if time.monotonic() > end:
                raise ModelError("It does not open the page.")
            time.sleep(0.02)

    def _ask(self, method: str, parameters: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        content = memoryview(json.dumps(message).encode() + b"\0")
        while content:
            content = content[os.write(self._write, content) :]
        end = time.monotonic() + seconds
        while True:
            found = json.loads(self._message(end))
            if found.get("id") == self._count:
                if "error" in found:
                    raise ModelError(f"The browser refuses {method}: {found['error'].get('message')}")
                return dict(found["result"])

    def _message(self, end: float) -> bytes:
        """The next message; they end with a zero byte."""
        while b"\0" not in self._waiting:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                raise ModelError("It does not answer in time.")
            piece = os.read(self._read, 2**20)
            if not piece:
                raise ModelError("It has ended.")
            self._waiting += piece
        message, _, self._waiting = self._waiting.partition(b"\0")
        return message


class PageProbabilities:
    """What a page answers to images as they are stored: calibrated probabilities, float32 `(n, classes)`.

    Args:
        html: content of the page.
        type_name: of the images, `uint8` or `float32`.

    Raises:
        InputError: there is no browser to run it in.
    """

    def __init__(self, html: bytes, type_name: str) -> None:
        self.browser, self._type = Chromium(html), type_name

    def __call__(self, images: Array) -> Array:
        """The answers."""
        images = np.ascontiguousarray(images, self._type)
        each = max(_BYTES_AT_ONCE // max(images[0].nbytes, 1), 1) if len(images) else 1
        rows = [row for start in range(0, len(images), each) for row in self._few(images[start : start + each])]
        # JSON has no NaN: an image whose answer is none differs from any.
        return np.array([[np.nan if one is None else one for one in row] for row in rows], np.float32)

    def _few(self, images: Array) -> list[list[float | None]]:
        text = base64.b64encode(images.tobytes()).decode()
        bytes_of = f"Uint8Array.from(atob('{text}'), (letter) => letter.charCodeAt(0)).buffer"
        return list(
            self.browser.value(f"fittingRoom.then(({{ ask }}) => ask('probabilities', {{ bytes: {bytes_of} }}))")
        )


def _end(process: subprocess.Popen[bytes], pipes: tuple[int, int], folder: Path) -> None:
    for pipe in pipes:
        os.close(pipe)  # without its pipes the browser ends by itself
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)
