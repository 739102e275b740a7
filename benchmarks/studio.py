"""Measures the studio in Chromium: how soon it answers, how smoothly it moves, and what it takes from a training.

Usage: python -m benchmarks.studio [--rounds N]

A studio of its own is started, and a browser looks at it as a person does: press, wait, look, click. Times are from the
click to what it shows, by the browser's own clock, on the page's next frame. Processor time is that of processes, from
/proc; the browser's is not counted, since it may be on another machine. It needs Linux, Chromium and Fashion-MNIST.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.pairs import markdown_table

TRAINED_SECONDS = 60
TICKS = os.sysconf("SC_CLK_TCK")

# Waits for a state of the page that a click brings, and gives the milliseconds from the click to the frame after it.
_CLICK = """([selector, state]) => new Promise((resolve, reject) => {
  const ready = new Function(`return ${state}`), target = document.querySelector(selector);
  const late = setTimeout(() => reject(new Error(`nothing came of a click on ${selector}`)), 60000);
  const began = performance.now();
  target.click();
  const look = () => {
    if (!ready()) return requestAnimationFrame(look);
    clearTimeout(late);
    resolve(performance.now() - began);
  };
  requestAnimationFrame(look);
})"""

# Notes when the pen moved last, and when the bars of the answer changed last.
_ANSWERS = """() => {
  [window.moved, window.answered] = [0, 0];
  addEventListener("pointermove", (event) => event.buttons && (window.moved = performance.now()), true);
  const bars = document.querySelector(".class-bars");
  new MutationObserver(() => requestAnimationFrame(() => (window.answered = performance.now()))).observe(
    bars, {subtree: true, childList: true, characterData: true, attributes: true});
}"""

# Counts the frames of the page for so long, with the time of the longest one.
_FRAMES = """(seconds) => new Promise((resolve) => {
  const times = [];
  const look = (now) => {
    times.push(now);
    if (now - times[0] < 1000 * seconds) return requestAnimationFrame(look);
    const gaps = times.slice(1).map((time, place) => time - times[place]);
    resolve({rate: 1000 * gaps.length / (now - times[0]), longest: Math.max(...gaps)});
  };
  requestAnimationFrame(look);
})"""


@dataclass(frozen=True)
class Measured:
    """One bar of the studio: what it asks, and what came out.

    Args:
        what: the work.
        bar: what it should be.
        values: what was measured, one for each round.
        unit: of the values.
        digits: behind the point.
    """

    what: str
    bar: str
    values: tuple[float, ...]
    unit: str
    digits: int = 0

    def row(self) -> tuple[str, ...]:
        """A line of the table: the median, and the range where there are several rounds."""
        middle = f"{statistics.median(self.values):,.{self.digits}f} {self.unit}"
        ends = f"{min(self.values):,.{self.digits}f} to {max(self.values):,.{self.digits}f}"
        return self.what, self.bar, middle, ends if len(self.values) > 1 else "-"


@dataclass(frozen=True)
class BenchedStudio:
    """A running studio.

    Args:
        process: its number.
        url: where it is.
        runs: its folder of runs.
    """

    process: int
    url: str
    runs: Path

    @property
    def seconds(self) -> float:
        """Processor time that its processes have taken so far: its own and those it began, but for trainings."""
        own = {one: _command(one) for one in _family(self.process)}
        return sum(
            _seconds(one)
            for one, command in own.items()
            if "fittingroom" in " ".join(command) and "train" not in command
        )


@contextmanager
def studio(folder: Path) -> Iterator[BenchedStudio]:
    """A studio of an empty folder of runs; it ends with the block, and so do trainings that it began."""
    environment = {
        **os.environ,
        "FITTINGROOM_RUNS_DIR": str(folder / "runs"),
        "FITTINGROOM_LEDGER": str(folder / "l.sqlite"),
    }
    command = [sys.executable, "-m", "fittingroom", "studio", "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"studio: (http://\S+?:\d+)", line):
                yield BenchedStudio(process.pid, found[1], folder / "runs")
                break
    finally:
        process.terminate()
        process.wait(timeout=30)


def _family(process: int) -> list[int]:
    """A process and those that it began, which are there now."""
    found, parents = [process], {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(place.parent.name)] = int(fields[1])
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _command(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return []


def _seconds(process: int) -> float:
    """Processor time of a process and of the children that it has waited for."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:13])) / TICKS


def first_curve(page: Page, at: BenchedStudio) -> float:
    """Seconds from pressing Train to the first point of a curve, with everything as it is chosen."""
    page.goto(f"{at.url}/train?set=epochs%3D2")
    page.wait_for_selector("button.main:not([disabled])")
    shown = "document.querySelector('.live svg .mean, .live svg circle, .live svg polyline') !== null"
    took = page.evaluate(_CLICK, ["button.main", shown]) / 1000
    page.wait_for_selector(".doors a", timeout=120_000)
    return float(took)


def share_while_watched(page: Page, at: BenchedStudio, epochs: int) -> tuple[float, float]:
    """The studio's processor time as a share of a training's while a page watches it, and the training's seconds.

    What a studio prepares when a training has ended, while people look at the curves, is not in it.
    """
    page.goto(f"{at.url}/train?set=epochs%3D{epochs}")
    page.wait_for_selector("button.main:not([disabled])")
    before, began, trained, trainings = at.seconds, time.perf_counter(), 0.0, list[float]()
    page.click("button.main")
    while trained == 0 or trainings:
        time.sleep(0.1)
        own = at.seconds - before
        trainings = [_seconds(one) for one in _family(at.process)[1:] if "train" in _command(one)]
        trained = max([trained, *trainings])
    return own / trained, time.perf_counter() - began


def clicks_in_matrix(page: Page, at: BenchedStudio, run: str, rounds: int) -> list[float]:
    """Milliseconds from a click on a cell of the matrix to its images."""
    page.goto(f"{at.url}/understand?run={quote(run)}")
    page.wait_for_selector(".matrix .cell.wrong:not(.empty)", timeout=60_000)
    page.wait_for_timeout(1000)
    cells = page.evaluate(
        "[...document.querySelectorAll('.matrix button.cell.wrong:not(.empty)')].map((cell, place) => place)"
    )
    found = []
    for place in cells[: 5 * rounds]:
        page.evaluate(
            f"document.querySelectorAll('.matrix button.cell.wrong:not(.empty)')[{place}].id = 'cell-{place}'"
        )
        title = page.inner_text("#selection-title")
        changed = f"document.querySelector('#selection-title').innerText !== {json.dumps(title)}"
        shown = f"{changed} && document.querySelector('.shots .thumbnail') !== null"
        found.append(page.evaluate(_CLICK, [f"#cell-{place}", shown]))
    return found


def frames_of_map(page: Page, at: BenchedStudio, run: str) -> float:
    """Frames in a second while the map of all validation images is dragged."""
    page.goto(f"{at.url}/understand?run={quote(run)}")
    page.wait_for_selector(".map-panel[data-places]", timeout=120_000)
    box = page.locator(".map-panel canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(f"window.measured = ({_FRAMES})(3)")
    ended, step = time.perf_counter() + 3.2, 0
    while time.perf_counter() < ended:
        step += 1
        page.mouse.move(x + 60 * ((step // 10) % 2) + step % 10 * 6 - 60, y + step % 7 * 4)
    page.mouse.up()
    return float(page.evaluate("window.measured")["rate"])


def draw(page: Page, aside: float = 0) -> None:
    """A stroke on the canvas, with the mouse down at its end.

    Args:
        page: the page.
        aside: pixels from the middle.
    """
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2 + aside
    page.mouse.move(middle, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + 200, steps=12)


def answers_to_drawing(page: Page, at: BenchedStudio, run: str, rounds: int) -> tuple[float, list[float]]:
    """Milliseconds from the last movement of a stroke to the answer to it: the first one, and those that follow."""
    page.goto(f"{at.url}/try?run={quote(run)}")
    page.wait_for_selector(".class-bars")
    page.evaluate(_ANSWERS)
    found: list[float] = []
    for stroke in range(1 + 6 * rounds):
        draw(page, 10 * stroke % 80)
        page.mouse.up()
        page.wait_for_timeout(500 if found else 100)
        if not found:
            page.wait_for_function("window.answered > window.moved", timeout=60_000)
        # The pen was answered while it moved; the last change of the bars is the answer to the whole stroke. A stroke
        # that changed nothing more has none.
        took = float(page.evaluate("window.answered - window.moved"))
        found += [took] if took > 0 else []
    return found[0], found[1:]


def weight(browser: Browser, at: BenchedStudio) -> float:
    """Kilobytes that all views load, without data: the page and its files, each once."""
    page = browser.new_page(bypass_csp=True)
    sizes: dict[str, int] = {}
    page.on(
        "response", lambda one: sizes.update({one.url: len(one.body())}) if "/api/" not in one.url and one.ok else None
    )
    for view in ("train", "understand", "try", "runs", "class", "labs", "benchmarks", "test"):
        page.goto(f"{at.url}/{view}")
        page.wait_for_timeout(800)
    page.close()
    pages = [url for url in sizes if "/assets/" not in url]
    return (sum(size for url, size in sizes.items() if "/assets/" in url) + max(sizes[url] for url in pages)) / 1000


def newcomer(browser: Browser, folder: Path) -> tuple[float, int]:
    """Seconds and clicks from starting the studio to an own drawing that is answered; nothing is typed."""
    began, clicks = time.perf_counter(), 0
    with studio(folder) as at:
        page = browser.new_page(bypass_csp=True)
        page.goto(at.url)
        page.wait_for_selector("button.main:not([disabled])")
        page.click("button.main")
        page.wait_for_selector('.doors a[href^="/try"]', timeout=120_000)
        page.click('.doors a[href^="/try"]')
        page.wait_for_selector("canvas")
        clicks = 2
        page.wait_for_timeout(300)
        draw(page)
        page.mouse.up()
        page.wait_for_function("/%/.test(document.querySelector('.class-bars').innerText)", timeout=60_000)
        took = time.perf_counter() - began
        page.close()
    return took, clicks


def main() -> None:
    """Measures all of it, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60, help="of the training that is watched for about a minute")
    arguments = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("Chromium is not here: `scripts/apt-install chromium` installs Debian's.")
    rows: list[Measured] = []
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        pressed, clicked = zip(
            *(newcomer(browser, Path(place, f"new-{one}")) for one in range(arguments.rounds)), strict=True
        )
        rows.append(Measured("from starting the studio to an own drawing answered", "30 s", pressed, "s", 1))
        rows.append(Measured("clicks for it, without typing", "5", clicked, "clicks"))
        with studio(Path(place, "studio")) as at:
            page = browser.new_page(bypass_csp=True, viewport={"width": 1400, "height": 900})
            curves = tuple(first_curve(page, at) for _ in range(arguments.rounds))
            rows.append(Measured("from pressing Train to the first curve", "2 s", curves, "s", 2))
            run = newest(at.runs)
            first, answers = answers_to_drawing(page, at, run, arguments.rounds)
            rows.append(Measured("a drawing to its answer", "150 ms", tuple(answers), "ms"))
            rows.append(Measured("the first drawing of a run just trained", "3 s", (first / 1000,), "s", 2))
            rows.append(
                Measured(
                    "a click in the matrix to its images",
                    "100 ms",
                    tuple(clicks_in_matrix(page, at, run, arguments.rounds)),
                    "ms",
                )
            )
            rates = tuple(frames_of_map(page, at, run) for _ in range(arguments.rounds))
            rows.append(Measured("frames while the map of 5,000 images is dragged", "50 a second", rates, "a second"))
            rows.append(Measured("the page and all its files", "500 kB", (weight(browser, at),), "kB"))
        with studio(Path(place, "watched")) as at:
            page = browser.new_page(bypass_csp=True, viewport={"width": 1400, "height": 900})
            share, seconds = share_while_watched(page, at, arguments.epochs)
            what = f"the studio's processor time, of a training's that a page watches for {seconds:.0f} s"
            rows.append(Measured(what, "3%", (100 * share,), "%", 1))
        browser.close()
    print(markdown_table([("what", "bar", "median", "range"), *(one.row() for one in rows)]))


def newest(runs: Path) -> str:
    """The run that was trained last."""
    found = [path.parent for path in runs.glob("*/run.json")]
    return max(found, key=lambda path: path.stat().st_mtime).name


if __name__ == "__main__":
    main()
