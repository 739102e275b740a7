"""Measures an exported page against the run that it holds: photographs, drawings, and how fast it answers.

Usage: python -m benchmarks.page [DIR] [--run RUN] [--drawings N] [--most N]

DIR has photographs, in folders of its own or not. Each goes into the page, in a Chromium of this machine, and into the
run, without a second opinion, which pages do not have. Without `--run`, the recipe `course` is trained on
Fashion-MNIST.
Drawings are the sketches of `benchmarks.drawings`, each drawn so many times.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drawings import CLOTHES, DIGITS, varied
from benchmarks.pairs import markdown_table
from fittingroom import Run, open_run, train
from fittingroom.answers.judgement import Answer
from fittingroom.data.model_inputs import ModelInputs
from fittingroom.errors import FittingRoomError
from fittingroom.evaluation.spread import Interval
from fittingroom.exports.chromium import Chromium
from fittingroom.photos.drawing import Drawing
from fittingroom.photos.photo_reader import _picture_files
from fittingroom.text import file_size, percent, percent_range

_PACE = 60  # drawings, one after the other


@dataclass(frozen=True)
class Compared:
    """What page and run say of one picture.

    Args:
        own: the run's answer; None where it refuses to read the picture.
        found: the page's, as JSON; None where it refuses.
        milliseconds: that the page took.
    """

    own: Answer | None
    found: Mapping[str, Any] | None
    milliseconds: float

    @property
    def same_class(self) -> bool:
        """Whether both name the same class, or neither reads it."""
        if self.own is None or self.found is None:
            return self.own is None and self.found is None
        return bool(self.found["class"] == self.own.label)

    @property
    def same_refusal(self) -> bool:
        """Whether both say, or neither, that it is unlike the training images."""
        if self.own is None or self.found is None:
            return self.same_class
        return bool(self.found["unlike"] == self.own.unlike)

    @property
    def same_words(self) -> bool:
        """Whether they say the same sentence."""
        return self.own is not None and self.found is not None and self.found["why"] == self.own.why


def asked(browser: Chromium, question: str, body: str) -> tuple[Mapping[str, Any] | None, float]:
    """The page's answer, without its pictures, and how many milliseconds it took; None where it refuses."""
    code = (
        f"fittingRoom.then(async ({{ ask }}) => {{ const body = {body}; const start = performance.now(); try {{ "
        f"const {{ steps, ...answer }} = await ask({json.dumps(question)}, body); "
        "return { answer, milliseconds: performance.now() - start }; } "
        "catch (error) { return { answer: null, milliseconds: performance.now() - start, error: error.message }; } })"
    )
    found = browser.value(code)
    return found["answer"], found["milliseconds"]


def photos_compared(browser: Chromium, run: Run, paths: Sequence[Path]) -> list[Compared]:
    """Page and run on photographs."""
    compared = []
    for path in paths:
        text = base64.b64encode(path.read_bytes()).decode()
        blob = f"new Blob([Uint8Array.from(atob('{text}'), (letter) => letter.charCodeAt(0))])"
        found, milliseconds = asked(browser, "photo", blob)
        own: Answer | None = None
        try:
            inputs = run.predictor.inputs(path)
            own = run.predictor.answer_unchecked(replace(inputs, opinions=()))[0]
        except FittingRoomError as error:
            print(error, file=sys.stderr)
        compared.append(Compared(own, found, milliseconds))
    return compared


def drawings_compared(browser: Chromium, run: Run, count: int) -> list[Compared]:
    """Page and run on sketches of digits or clothes."""
    pen, _ = run.predictor.pen
    assert pen is not None
    sketches = DIGITS if not pen.fills else CLOTHES
    random = np.random.default_rng(0)
    compared = []
    for sketch in sketches.values():
        for _ in range(count):
            strokes = varied(sketch, random)
            found, milliseconds = asked(browser, "drawing", json.dumps({"strokes": strokes, "fills": None}))
            data = run.predictor.data
            image = Drawing.of(strokes).conversion(pen, data.picture_shape).image[None]
            stored = data.range.of_pixels(image, "the drawing").astype(np.float32 if data.as_given else np.uint8)
            inputs = ModelInputs.plain(stored.reshape(1, *data.image_shape))
            compared.append(Compared(run.predictor.answer_unchecked(inputs)[0], found, milliseconds))
    return compared


def row(title: str, compared: Sequence[Compared]) -> tuple[str, ...]:
    """A line of the table."""

    def share(hits: int) -> str:
        return f"{percent(hits / len(compared))} ({percent_range(Interval.wilson(hits, len(compared)))})"

    times = [one.milliseconds for one in compared]
    return (
        title,
        str(len(compared)),
        share(sum(one.same_class for one in compared)),
        share(sum(one.same_refusal for one in compared)),
        share(sum(one.same_words for one in compared)),
        f"{statistics.median(times):.0f} ms",
        f"{max(times):.0f} ms",
    )


def pace(html: bytes, sketch: Sequence[Any]) -> tuple[float, float]:
    """Milliseconds from opening the page to its first answer, and answers a second while somebody draws."""
    browser = Chromium(html)
    body = json.dumps({"strokes": sketch, "fills": None})
    try:
        first = browser.value(
            f"fittingRoom.then(async ({{ ask }}) => {{ await ask('drawing', {body}); return performance.now(); }})"
        )
        code = (
            f"fittingRoom.then(async ({{ ask }}) => {{ const body = {body}; const start = performance.now(); "
            f"for (let turn = 0; turn < {_PACE}; turn += 1) await ask('drawing', body); "
            "return performance.now() - start; })"
        )
        browser.value(code)  # compiled, as after a second of drawing
        return float(first), 1000 * _PACE / float(browser.value(code))
    finally:
        browser.close()


def main() -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description="Compares an exported page with its run.")
    parser.add_argument("photos", nargs="?", type=Path)
    parser.add_argument("--run")
    parser.add_argument("--drawings", type=int, default=10, help="how often each sketch is drawn")
    parser.add_argument("--most", type=int, help="photographs that are looked at, spread over all")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = open_run(arguments.run) if arguments.run else train("fashion-mnist", out=Path(folder) / "run")
        start = time.perf_counter()
        html = run.export("page", Path(folder) / "page.html").path.read_bytes()
        print(f"\n{run.path.name}: a page of {file_size(len(html))}, made in {time.perf_counter() - start:.1f} s\n")
        browser = Chromium(html)
        rows = []
        pen, _ = run.predictor.pen
        if arguments.photos is not None:
            paths = [path for path, _ in _picture_files([arguments.photos])]
            most = min(arguments.most or len(paths), len(paths))
            chosen = [paths[at] for at in np.linspace(0, len(paths) - 1, most).astype(int)]
            rows.append(row("photographs", photos_compared(browser, run, chosen)))
        if pen is not None and arguments.drawings:
            rows.append(row("drawings", drawings_compared(browser, run, arguments.drawings)))
        browser.close()
        header = ("", "count", "same class", "same refusal", "same sentence", "median", "slowest")
        print(markdown_table([header, *rows]))
        if pen is not None:
            sketch = next(iter((DIGITS if not pen.fills else CLOTHES).values()))
            first, answers = pace(html, [[list(point) for point in line] for line in sketch])
            print(f"\nFirst answer {first:.0f} ms after opening; {answers:.0f} answers a second while drawing.")


if __name__ == "__main__":
    main()
