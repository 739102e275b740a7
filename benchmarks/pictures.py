"""Takes the pictures of pages that the docs show, in Chromium and in light colours.

Usage: python -m benchmarks.pictures

Writes `docs/images/report.png`: the curves and the split of the loss in a report about `wide`, 30 epochs, five seeds.
The run stays in `build/pictures`, so that a second call trains nothing and only draws again. `make labs` takes the
pictures of the labs.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.sides import ROOT, program_environment

REPORT = ROOT / "docs" / "images" / "report.png"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SCALE = 1.25  # pixels of a picture for each of the page: readable on a dense screen, and small in the repository


def take(
    pages: Mapping[Path, Path], first: str, last: str | None = None, *, hidden: str | None = None, width: int = 900
) -> None:
    """A picture of a part of each page, from the top of one element to the bottom of another.

    Args:
        pages: page -> where its picture goes, in the format of its ending.
        first: CSS selector of the first element; it gives left and right.
        last: of the last element; None for the first one alone.
        hidden: of elements that are left out.
        width: of the window, in pixels.
    """
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        sys.exit("Chromium is not installed: `scripts/apt-install chromium` installs Debian's")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        context = browser.new_context(
            viewport={"width": width, "height": 1000},
            device_scale_factor=SCALE,
            offline=True,
            color_scheme="light",
            bypass_csp=True,  # the pages of ours allow no style but their own
        )
        for page, target in pages.items():
            tab = context.new_page()
            tab.goto(page.resolve().as_uri())
            if hidden:
                tab.add_style_tag(content=f"{hidden} {{ display: none }} section {{ border: 0 !important }}")
            top, end = (tab.locator(selector).first.bounding_box() for selector in (first, last or first))
            if top is None or end is None:
                sys.exit(f"{page} shows nothing for {first} or {last}")
            bottom = end["y"] + end["height"]
            shot = tab.screenshot(
                full_page=True,
                clip={"x": top["x"] - 8, "y": top["y"], "width": top["width"] + 16, "height": bottom - top["y"]},
            )
            target.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.open(io.BytesIO(shot)).convert("RGB")
            if target.suffix == ".png":  # charts have few colours, so a palette halves the file
                picture = picture.quantize(256, dither=Image.Dither.NONE)
            picture.save(target, lossless=True, method=6, optimize=True)
            tab.close()
        browser.close()


def main() -> None:
    """Trains the run that the report is about, unless it is there, and takes its picture."""
    folder = ROOT / "build" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    program = str(Path(sys.executable).with_name("fittingroom"))
    commands = [[program, "report", "wide", "--out", "report.html"]]
    if not (folder / "wide" / "run.json").exists():
        shutil.rmtree(folder / "wide", ignore_errors=True)
        training = ["--recipe", "wide", "--epochs", "30", "--seeds", "5", "--out", "wide"]
        commands.insert(0, [program, "train", "fashion-mnist", *training])
    for command in commands:
        subprocess.run(command, cwd=folder, env={**program_environment(folder), "HOME": str(folder)}, check=True)
    take({folder / "report.html": REPORT}, "#curves", "#ledger table", hidden="#curves details", width=1060)


if __name__ == "__main__":
    main()
