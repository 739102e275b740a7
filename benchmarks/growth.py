"""How time and memory grow with images, pixels, classes and seeds: a table and a picture, in docs/growth.md.

Usage: python -m benchmarks.growth [AXIS ... | --page]

Each point trains the recipe `course` on made images from an NPZ file for three epochs, as `fittingroom train npz:FILE`
does: a process that compiles, then two with its programs kept, of which the faster one counts. An epoch is a third of
the time from the first step to the end, with validation and writing; the rest is all else that a user waits for:
imports, reading, checks. `--page` writes the page from what is stored.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pairs import RESULTS, markdown_table, measured_on, place, store
from benchmarks.readme import between_markers
from benchmarks.sides import ROOT

PAGE = ROOT / "docs" / "growth.md"
PICTURE = ROOT / "docs" / "images" / "growth.svg"
_EPOCHS = 3
_TEST = 1_000


@dataclass(frozen=True)
class Size:
    """What is trained on: images in all, their edge in pixels, classes, and seeds at once."""

    images: int = 6_000
    pixels: int = 28
    classes: int = 10
    seeds: int = 1


@dataclass(frozen=True)
class Cost:
    """Seconds of loading, of an epoch of all seeds and of the whole process; its peak memory beside Python's, MiB."""

    load: float
    epoch: float
    whole: float
    peak: float

    @property
    def rest(self) -> float:
        """Seconds of all else."""
        return self.whole - self.load - _EPOCHS * self.epoch


AXES: dict[str, tuple[Size, tuple[int, ...]]] = {
    "images": (Size(), (6_000, 20_000, 60_000, 200_000, 600_000)),
    "pixels": (Size(), (28, 56, 112, 224)),
    "classes": (Size(images=20_000), (2, 10, 100, 1_000)),
    "seeds": (Size(), (1, 2, 4, 8, 16, 32, 64)),
}
"""What grows, what the rest stays at, and its values."""


def write_images(size: Size, path: Path) -> None:
    """Made images of so many classes: a pattern for each, and noise."""
    random = np.random.default_rng(0)
    patterns = random.integers(0, 156, (size.classes, size.pixels, size.pixels), np.uint8)
    arrays: dict[str, Any] = {}
    for name, count in (("train", size.images), ("test", _TEST)):
        labels = np.arange(count) % size.classes
        images = np.empty((count, size.pixels, size.pixels), np.uint8)
        for start in range(0, count, 1_000):
            some = labels[start : start + 1_000]
            noise = random.integers(0, 100, (len(some), size.pixels, size.pixels), np.uint8)
            images[start : start + 1_000] = patterns[some] + noise
        arrays |= {f"x_{name}": images, f"y_{name}": labels}
    np.savez(path, **arrays)


def cost(size: Size, folder: Path) -> Cost:
    """What one training takes, in a process of its own, after one that compiles."""
    path = folder / "images.npz"
    write_images(size, path)
    found: list[Cost] = []
    for number in range(3):
        place = folder / str(number)
        environment = {
            **os.environ,
            "KERAS_BACKEND": "jax",
            "PYTHONPATH": str(ROOT),
            "FITTINGROOM_LEDGER": str(folder / "ledger.sqlite"),
            "FITTINGROOM_CACHE_DIR": str(folder / "cache"),
            "JAX_COMPILATION_CACHE_DIR": str(folder / "programs"),
        }
        command = [sys.executable, "-m", "benchmarks.growth", "--train", str(path), str(size.seeds), str(place)]
        began = time.perf_counter()
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        whole = time.perf_counter() - began
        measured = json.loads(done.stdout.splitlines()[-1])
        found.append(Cost(measured["load"], measured["epoch"], whole, measured["peak"]))
    return min(found[1:], key=lambda one: one.whole)


def trained(path: str, seeds: str, out: str) -> dict[str, float]:
    """Trains in this process; seconds of an epoch of all seeds, and what memory it took beside Python's, MiB."""
    before = _highest()
    import fittingroom

    began = time.perf_counter()
    data = fittingroom.load(f"npz:{path}")
    loaded = time.perf_counter()
    run = fittingroom.train(data, "course", epochs=_EPOCHS, seeds=int(seeds), out=out)
    seconds = run[0].record.seconds
    epochs = time.perf_counter() - loaded - seconds.setup - seconds.compile
    return {"load": loaded - began, "epoch": epochs / _EPOCHS, "peak": _highest() - before}


def _highest() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii").split()
    return int(status[status.index("VmHWM:") + 1]) / 1024


_UNITS = {"images": "image", "pixels": "pixel", "classes": "class", "seeds": "seed"}


def table(axis: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The costs of one axis, and what each unit of it takes."""
    lines = [(axis, "loading", "an epoch", "all else", "peak memory", f"an epoch, per {_UNITS[axis]}")]
    for row in rows:
        value, one = row["size"][axis], Cost(**row["cost"])
        per = one.epoch / (value**2 if axis == "pixels" else value)
        cells = (f"{one.load:.2f} s", f"{one.epoch:.2f} s", f"{one.rest:.2f} s", f"{one.peak:,.0f} MiB")
        shown = f"{value}×{value}" if axis == "pixels" else f"{value:,}"
        lines.append((shown, *cells, f"{per * 1e6:,.1f} µs" if per < 1e-3 else f"{per * 1e3:,.1f} ms"))
    return markdown_table(lines)


def picture(axes: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A panel for each axis: seconds of an epoch and peak memory, both axes logarithmic, as SVG."""
    wide, high, left, top = 190, 150, 44, 30
    parts = []
    for number, (axis, rows) in enumerate(axes.items()):
        x, y = 12 + number % 2 * (wide + left + 80) + left, top + number // 2 * (high + 60)
        values = [row["size"][axis] for row in rows]
        parts.append(f'<text x="{x}" y="{y - 10}" class="title">{axis}</text>')
        parts.append(f'<rect x="{x}" y="{y}" width="{wide}" height="{high}" class="frame"/>')
        ends = math.log10(values[0]), math.log10(values[-1])
        across = [x + 8 + (wide - 16) * (math.log10(value) - ends[0]) / (ends[1] - ends[0]) for value in values]
        for value, at in list(zip(values, across, strict=True))[:: 2 if len(values) > 4 else 1]:
            parts.append(f'<text x="{at:.1f}" y="{y + high + 14}" class="tick middle">{value:,}</text>')
        for kind, low, decades, form, side in (
            ("epoch", -1.0, 2, "{:g} s", "left"),
            ("peak", 2.0, 2, "{:,.0f} MiB", "right"),
        ):
            points = []
            for row, at in zip(rows, across, strict=True):
                share = (math.log10(row["cost"][kind]) - low) / decades
                points.append(f"{at:.1f},{y + high * (1 - share):.1f}")
            parts.append(f'<polyline points="{" ".join(points)}" class="{kind}"/>')
            parts += [
                f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="2.5" class="{kind} dot"/>' for p in points
            ]
            for step in range(decades + 1):
                place, end = (x - 6, "end") if side == "left" else (x + wide + 6, "start")
                level, text = y + high * (1 - step / decades) + 4, form.format(10 ** (low + step))
                parts.append(f'<text x="{place}" y="{level:.1f}" class="tick {end} {kind}">{text}</text>')
    style = (
        "text{font:11px system-ui,sans-serif;fill:#333}.title{font-weight:600}.middle{text-anchor:middle}"
        ".end{text-anchor:end}.frame{fill:none;stroke:#bbb}polyline{fill:none;stroke-width:2}"
        "polyline.epoch{stroke:#1f6fb2}polyline.peak{stroke:#b2501f;stroke-dasharray:5 3}"
        ".dot.epoch,text.epoch{fill:#1f6fb2}.dot.peak,text.peak{fill:#b2501f}"
    )
    size = f'width="640" height="{top + 2 * (high + 60)}"'
    view = f'viewBox="0 0 640 {top + 2 * (high + 60)}"'
    title = "Seconds of an epoch and peak memory against images, pixels, classes and seeds"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view} role="img"><title>{title}</title>'
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, f"<style>{style}</style>", ground, *parts, "</svg>", ""])


def _counted(unit: str, value: int) -> str:
    return f"{value}×{value} pixels" if unit == "pixels" else f"{value:,} {_UNITS[unit] if value == 1 else unit}"


def write_page(kept: Mapping[str, Any]) -> None:
    """The tables and the picture of what was measured."""
    axes = {axis: kept["axes"][axis] for axis in AXES if axis in kept["axes"]}
    base = {
        axis: ", ".join(_counted(k, v) for k, v in rows[0]["size"].items() if k != axis) for axis, rows in axes.items()
    }
    tables = [f"## {axis.capitalize()}\n\nWith {base[axis]}.\n\n{table(axis, rows)}" for axis, rows in axes.items()]
    text = "\n".join([f"{place(kept['machine'])}.\n", *tables])
    PAGE.write_text(between_markers(PAGE.read_text(encoding="utf-8"), "growth", f"\n{text}\n"), encoding="utf-8")
    PICTURE.write_text(picture(axes), encoding="utf-8")


def main() -> None:
    """Measures the axes that are named, or all; writes the page and its picture."""
    if sys.argv[1:2] == ["--train"]:
        print(json.dumps(trained(*sys.argv[2:])))
        return
    stored = RESULTS / "growth.json"
    kept = json.loads(stored.read_text(encoding="utf-8"))["axes"] if stored.exists() else {}
    for axis in [] if sys.argv[1:] == ["--page"] else sys.argv[1:] or AXES:
        base, values = AXES[axis]
        rows = []
        for value in values:
            size = replace(base, **{axis: value})
            with tempfile.TemporaryDirectory() as name:
                one = cost(size, Path(name))
            print(f"  {axis} {value:,}: {one}", file=sys.stderr, flush=True)
            rows.append({"size": dataclasses.asdict(size), "cost": dataclasses.asdict(one)})
        kept[axis] = rows
        store("growth", {"machine": measured_on(), "axes": kept})
    write_page(json.loads(stored.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
