"""Takes the pictures of the studio that the docs show: each view at 1,400 and 390 px, light and dark.

Usage: python -m benchmarks.screenshots [VIEW...]

Writes `docs/images/studio/<view>-<width>-<light or dark>.png`. The runs stay in `build/screenshots`, so that a second
call trains nothing and only draws again.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.pictures import CHROMIUM
from benchmarks.sides import ROOT, program_environment

PICTURES = ROOT / "docs" / "images" / "studio"
FOLDER = ROOT / "build" / "screenshots"
SIZES = ((1400, 900), (390, 844))
COLOURS = 256  # of a picture's palette: images are grey, and pages have few colours
QUIET = 900  # ms without a change, after which a picture is taken

_TRAININGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "first": ("course",),
        "small": ("course", "--set", "hidden=32"),
        "long": ("course", "--epochs", "20"),
        "three-seeds": ("course", "--seeds", "3"),
        "wide": ("wide", "--epochs", "10"),
        "best": ("mlp-best",),
    }
)
"""Run -> the recipe and options of its training."""

_BENCHMARK = """\
datasets = ["digits", "mnist-5k", "letters", "symbols", "shapes", "textures", "fashion-mnist-7"]
methods = [
  "linear", "course", "wide", "sklearn:knn", "sklearn:logistic", "sklearn:naive-bayes", "sklearn:decision-tree",
  "sklearn:lda",
]
seeds = 2
"""


_T_SHIRT = (
    (30, 20), (42, 24), (58, 24), (70, 20), (88, 36), (78, 46), (70, 40), (70, 84), (30, 84), (30, 40), (22, 46),
    (12, 36), (30, 20),
)  # fmt: skip
"""Its outline, in hundredths of the canvas."""


def _nothing(page: Page) -> None:
    """A view that shows what it should by its address alone."""


def _draw(page: Page) -> None:
    """A T-shirt, with a mouse."""
    canvas = page.locator("main canvas").first
    box = canvas.bounding_box()
    if box is None:
        sys.exit("the view try shows no canvas to draw on")
    for index, (x, y) in enumerate(_T_SHIRT):
        page.mouse.move(box["x"] + x / 100 * box["width"], box["y"] + y / 100 * box["height"], steps=8 if index else 1)
        if index == 0:
            page.mouse.down()
    page.mouse.up()
    page.get_by_text("Draw something").wait_for(state="hidden", timeout=60_000)
    page.wait_for_timeout(1500)


SCENES: Mapping[str, tuple[str, Callable[[Page], None]]] = MappingProxyType(
    {
        "train": ("/train?run=first", _nothing),
        "understand": ("/understand?run=first&label=6&predicted=0", _nothing),
        "try": ("/try?run=first", _draw),
        "runs": ("/runs", _nothing),
        "class": ("/class", _nothing),
        "labs": ("/labs", _nothing),
        "benchmarks": ("/benchmarks?benchmark=benchmark-1", _nothing),
        "test": ("/test?run=best", _nothing),
    }
)
"""View -> its address, and what is done there before its picture is taken."""


def train() -> dict[str, str]:
    """Trains what is not there yet.

    Returns:
        The environment in which the studio finds it.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    environment = {
        **program_environment(FOLDER),
        "HOME": str(FOLDER),
        "FITTINGROOM_RUNS_DIR": "runs",  # the pictures name no folder of this machine
        "FITTINGROOM_LEDGER": str(FOLDER / "ledger.sqlite"),
    }
    for name, (recipe, *options) in _TRAININGS.items():
        out = FOLDER / "runs" / name
        if not (out / "run.json").exists():
            shutil.rmtree(out, ignore_errors=True)
            command = ["train", "fashion-mnist", "--recipe", recipe, *options, "--out", f"runs/{name}"]
            subprocess.run([_program(), *command], cwd=FOLDER, env=environment, check=True)
    (FOLDER / "benchmark.toml").write_text(_BENCHMARK, encoding="utf-8")
    command = ["benchmark", "benchmark.toml", "--out", "runs/benchmark-1"]  # trains nothing where all is done
    subprocess.run([_program(), *command], cwd=FOLDER, env=environment, check=True)
    return environment


def _program() -> str:
    return str(Path(sys.executable).with_name("fittingroom"))


@contextmanager
def studio(environment: Mapping[str, str]) -> Iterator[str]:
    """A studio of those runs: its address."""
    command = [_program(), "studio", "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, cwd=FOLDER, env=dict(environment), stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"studio: (http://\S+)", line):
                yield found[1]
                return
        sys.exit("the studio did not start")
    finally:
        process.terminate()
        process.wait(30)


def take(browser: Browser, url: str, view: str) -> int:
    """The four pictures of a view.

    Returns:
        Their bytes.
    """
    address, act = SCENES[view]
    total = 0
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for width, height in SIZES:
        for scheme in schemes:
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
            )
            page = context.new_page()
            page.on("pageerror", lambda error: sys.exit(f"{view}: {error}"))
            page.goto(url + address)
            page.locator("main:not([aria-busy]) *").first.wait_for(timeout=60_000)
            page.wait_for_timeout(QUIET)
            page.get_by_text(re.compile("^(The map (waits|begins)|Arranging the images)")).first.wait_for(
                state="hidden", timeout=300_000
            )
            act(page)
            page.wait_for_timeout(QUIET)
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            target = PICTURES / f"{view}-{width}-{scheme}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            picture.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
            total += target.stat().st_size
            context.close()
    return total


def main(views: list[str]) -> None:
    """Trains what is missing, and takes the pictures of some views, or of all."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        sys.exit("Chromium is not installed: `scripts/apt-install chromium` installs Debian's")
    with studio(train()) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        for view in views or SCENES:
            print(f"{view}: {take(browser, url, view) / 1000:,.0f} kB")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
