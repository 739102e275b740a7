"""The modules of an exported page in a Chromium, called from Python with arrays."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, sync_playwright

import fittingroom.exports

MODULES = Path(fittingroom.exports.__file__).with_name("page")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOST = "http://page.test/"

_TYPES = {"uint8": "Uint8Array", "uint16": "Uint16Array", "int32": "Int32Array", "float32": "Float32Array"}
_HELPERS = """
() => {
  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const textOf = ({ buffer, byteOffset, byteLength }) => {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(text);
  };
  globalThis.taken = (value) => {
    if (Array.isArray(value)) return value.map(taken);
    if (value === null || typeof value !== "object") return value;
    if (value.blob) return new Blob([bytesOf(value.blob)], { type: value.type });
    if (value.array) return { shape: value.shape, data: new globalThis[value.type](bytesOf(value.array).buffer) };
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, taken(one)]));
  };
  globalThis.given = (value) => {
    if (ArrayBuffer.isView(value)) return { array: textOf(value), type: value.constructor.name };
    if (Array.isArray(value)) return value.map(given);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, given(one)]));
  };
}
"""
_CALL = """
async ([code, values]) => {
  try {
    return { result: given(await new Function("_", `return (async () => ${code})()`)(taken(values))) };
  } catch (error) {
    return { error: error.message, stack: error.stack };
  }
}
"""
_NUMBERS = {
    "Uint8Array": np.uint8,
    "Uint8ClampedArray": np.uint8,
    "Int32Array": np.int32,
    "Float32Array": np.float32,
    "Float64Array": np.float64,
}


class PageError(Exception):
    """What a module of the page threw."""


class PageModules:
    """All that modules export, by name: `modules.call("rint(_[0])", 2.5)`."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def call(self, code: str, *values: Any) -> Any:
        """What an expression gives; `_` are the values, arrays among them as `{shape, data}`."""
        answer = self._page.evaluate(_CALL, [code, _sent(list(values))])
        if "error" in answer:
            raise PageError(answer["error"])
        return _received(answer["result"])


def picture(array: Any) -> dict[str, Any]:
    """An array as the modules have pictures: call it in an expression as `image(_[0])`."""
    return {"height": array.shape[0], "width": array.shape[1], "channels": 1 if array.ndim == 2 else 3, "data": array}


@contextmanager
def opened(*names: str) -> Iterator[PageModules]:
    """A Chromium with modules of a page.

    Args:
        names: of modules, without their suffix.
    """
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: `scripts/apt-install chromium` installs Debian's")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM)
        page = chromium.new_page()
        page.route(f"{HOST}**", _serve)
        page.goto(HOST)
        page.evaluate(_HELPERS)
        page.evaluate(
            f"async (names) => {{ for (const name of names) "
            f"Object.assign(globalThis, await import(`{HOST}${{name}}.js`)); "
            "globalThis.image = (one) => ({ ...one, data: one.data.data }); }",
            list(names),
        )
        yield PageModules(page)
        chromium.close()


def _serve(route: Route) -> None:
    file = MODULES / route.request.url.removeprefix(HOST)
    if file.is_file():
        route.fulfill(body=file.read_text(encoding="utf-8"), content_type="text/javascript")
    else:
        route.fulfill(body="<!doctype html>", content_type="text/html")


def _sent(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": content, "shape": list(value.shape), "type": _TYPES[value.dtype.name]}
    if isinstance(value, bytes):
        return {"blob": base64.b64encode(value).decode(), "type": "application/octet-stream"}
    if isinstance(value, dict):
        return {name: _sent(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_sent(one) for one in value]
    return json.loads(json.dumps(value, allow_nan=False))


def _received(value: Any) -> Any:
    if isinstance(value, dict) and "array" in value:
        return np.frombuffer(base64.b64decode(value["array"]), _NUMBERS[value["type"]])
    if isinstance(value, dict):
        return {name: _received(one) for name, one in value.items()}
    return [_received(one) for one in value] if isinstance(value, list) else value
