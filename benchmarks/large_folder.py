"""Memory and time of a folder that is larger than the memory: `python -m benchmarks.large_folder [--train]`.

A few hundred JPEGs are made and linked until the folder has as many pictures as asked for, so that the disk needs room
for their images alone (100,000 at 224 pixels: 15 GB). It is loaded twice, each time in a process of its own, in a cache
that is removed at the end; with --train, a recipe with a frozen backbone is trained on it for two epochs and scored.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

_DIFFERENT = 341
_CLASSES = 10


def main() -> None:
    """Makes the folder, and prints a line for each process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work is not None:
        _measured(arguments.work, arguments.size, train=arguments.train)
        return
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        _fill(root / "pictures", arguments.pictures)
        environment = {
            **os.environ,
            "FITTINGROOM_CACHE_DIR": str(root / "cache"),
            "FITTINGROOM_RUNS_DIR": str(root / "runs"),
            "FITTINGROOM_LEDGER": str(root / "ledger.sqlite"),
        }
        own = [sys.executable, "-m", "benchmarks.large_folder", "--size", str(arguments.size), "--work", str(root)]
        for title, more in (("first", []), ("again", []), *([("train", ["--train"])] if arguments.train else [])):
            done = subprocess.run([*own, *more], env=environment, capture_output=True, text=True, check=True)
            print(f"{title:6}", done.stdout.strip().splitlines()[-1], flush=True)


def _fill(folder: Path, count: int) -> None:
    """Pictures of 533x400 pixels in class folders; all but the first are links."""
    random = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"class {number % _CLASSES}" / f"{number:07}.jpg"
        if number < _DIFFERENT:
            place.parent.mkdir(parents=True, exist_ok=True)
            small = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8))
            stream = io.BytesIO()
            small.resize((533, 400), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
            place.write_bytes(stream.getvalue())
            continue
        first = number % _DIFFERENT
        os.link(folder / f"class {first % _CLASSES}" / f"{first:07}.jpg", place)


def _measured(root: Path, size: int, *, train: bool) -> None:
    began = time.perf_counter()
    facts: dict[str, float] = {}
    if train:
        import fittingroom

        run = fittingroom.train(root / "pictures", "transfer", epochs=2, out=root / "run")
        facts["accuracy"] = run.evaluate("to measure it").accuracy
    else:
        from fittingroom.data.load import load

        data = load(root / "pictures", image_size=size, aspect="crop", color_mode="rgb")
        facts = {"train": len(data.train), "test": len(data.test)}
    status = Path("/proc/self/status").read_text().split()
    facts["peak_mb"] = int(status[status.index("VmHWM:") + 1]) // 1024
    print(
        json.dumps({**facts, "seconds": round(time.perf_counter() - began, 1), "core_s": round(time.process_time(), 1)})
    )


if __name__ == "__main__":
    main()
