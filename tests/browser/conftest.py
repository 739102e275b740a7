"""Pages in a real Chromium, with the network off: the one that the machine has, since nothing is downloaded here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Route, ViewportSize, sync_playwright

import fittingroom
from fittingroom.recipes.named import NAMED
from fittingroom.runs.layout import SeedFiles

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

HOSTILE_NAMES = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    'a" onmouseover="alert(3)',
    "line\u2028separator\u2029",
    "\u202egnp.exe",
    "\u05e9\u05dc\u05d5\u05dd",
    "{{ 7*7 }}{% raw %}",
    "long" * 100,
    "&lt;b&gt;' javascript:alert(4)",
    "<!--",
]


@dataclass
class Opened:
    """A page and everything that it did which a report must not do.

    Args:
        page: as Playwright drives it.
        requests: addresses other than the file's own and pictures inside it.
        complaints: errors and warnings on its console, and exceptions.
        dialogs: what it asked or told in a box.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


Open = Callable[..., Opened]
Visit = Callable[..., Opened]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. It ends with the module: while it runs, so does an event loop, and no other test can have its own."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: `scripts/apt-install chromium` installs Debian's")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture
def open_file(browser: Browser) -> Iterator[Open]:
    """Opens a file with the network off, by default on a wide screen."""
    contexts: list[BrowserContext] = []

    def opened(path: Path, width: int = 1400, *, dark: bool = False, scripts: bool = True) -> Opened:
        size: ViewportSize = {"width": width, "height": 900}
        scheme: Literal["dark", "light"] = "dark" if dark else "light"
        context = browser.new_context(viewport=size, color_scheme=scheme, offline=True, java_script_enabled=scripts)
        context.set_default_timeout(5000)
        contexts.append(context)
        page = context.new_page()
        found = Opened(page)
        own = path.resolve().as_uri()

        def request(url: str) -> None:
            if url != own and not url.startswith(("data:image/png", "data:image/jpeg")):
                found.requests.append(url)

        def dialog(one: Dialog) -> None:
            found.dialogs.append(one.message)
            one.dismiss()

        page.on("request", lambda one: request(one.url))
        page.on("console", lambda one: found.complaints.append(one.text))
        page.on("pageerror", lambda one: found.complaints.append(str(one)))
        page.on("dialog", dialog)
        page.goto(own)
        return found

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens a page of a server in a browser of its own: `visit(url, 390, dark=True)`.

    What it asks of any other server is in `requests`, and is not answered.
    """
    contexts: list[BrowserContext] = []

    def visited(url: str, width: int = 1400, height: int = 900, *, dark: bool = False, touch: bool = False) -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            has_touch=touch,
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        found = Opened(page)
        own = url.split("/", 3)[2]

        def ask(route: Route) -> None:
            address = route.request.url
            if address.startswith(("data:", "blob:")) or address.split("/", 3)[2] == own:
                route.continue_()
            else:
                found.requests.append(address)
                route.abort()

        def refuse(one: Dialog) -> None:
            found.dialogs.append(one.message)
            one.dismiss()

        page.route("**/*", ask)
        page.on("console", lambda one: found.complaints.append(one.text) if one.type in {"error", "warning"} else None)
        page.on("pageerror", lambda one: found.complaints.append(str(one)))
        page.on("dialog", refuse)
        page.goto(url)
        return found

    yield visited
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of runs, and their pages: `one` with its test set opened, `two` with two seeds, and `hostile`."""
    folder = tmp_path_factory.mktemp("runs-for-pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_RUNS_DIR", str(folder))
        patch.setenv("FITTINGROOM_LEDGER", str(folder / "ledger.sqlite"))
        course = NAMED["course"].recipe
        one = fittingroom.train("digits", course.with_settings(["epochs=5"]), out=folder / "one")
        one.evaluate("to show it")
        fittingroom.train("digits", course.with_settings(["epochs=4"]), seeds=2, out=folder / "two")
        make_hostile(folder / "one", folder / HOSTILE_RUN)
        for name in ("one", "two", HOSTILE_RUN):
            fittingroom.report(name, folder / f"{name[:7]}.html")
        fittingroom.report(["one", "two"], folder / "both.html")
        fittingroom.report([HOSTILE_RUN, "one"], folder / "hostile-both.html")
        yield folder


HOSTILE_RUN = "hostile<img src=x onerror=alert(5)>"


def make_hostile(source: Path, target: Path) -> None:
    """The run in `source` again, with other people's texts that want to be more than texts."""
    shutil.copytree(source, target)
    record = json.loads((SeedFiles(target).folder / "run.json").read_text())
    bad = HOSTILE_NAMES[0] + HOSTILE_NAMES[1]
    record["recipe"]["name"] = bad
    record["recipe"]["activation"] = bad
    record["data"].update(name=bad, classes=HOSTILE_NAMES)
    record["notes"] = HOSTILE_NAMES
    record["reason"] = bad
    record["environment"]["processor"] = bad
    record["environment"]["versions"][bad] = bad
    record["looks"][0]["reason"] = bad
    (SeedFiles(target).folder / "run.json").write_text(json.dumps(record))
