"""Measures an exported program against the run that it holds, on photographs.

Usage: python -m benchmarks.program DIR [--run RUN] [--every N]

DIR has photographs, in folders of its own or not; every N-th is asked about. Without `--run`, the recipe `course` is
trained on Fashion-MNIST. Both sides ask the second network where it is installed, and are timed on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pairs import markdown_table
from fittingroom import Answer, open_run, train
from fittingroom.errors import FittingRoomError
from fittingroom.photos.photo_reader import _picture_files
from fittingroom.text import file_size

_ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def told_by(folder: Path, paths: Sequence[Path]) -> tuple[list[dict[str, Any]], float]:
    """What the program says of photographs, and the seconds of a core that it took for each."""
    command = [sys.executable, str(folder / "predict.py"), *map(str, paths), "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=_ONE_CORE, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout)["predictions"], seconds / len(paths)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--every", type=int, default=1)
    chosen = parser.parse_args(arguments)
    os.environ.update(_ONE_CORE)
    with tempfile.TemporaryDirectory() as place:
        run = open_run(chosen.run) if chosen.run else train(recipe="course", out=Path(place) / "run")
        exported = run.export("folder", Path(place) / "program")
        paths, own, seconds = [], list[Answer](), 0.0
        for path, _ in list(_picture_files([chosen.photos]))[:: chosen.every]:
            started = time.process_time()
            try:
                own += run.answer([path])
            except FittingRoomError as error:  # the program refuses it too, and ends
                print(error, file=sys.stderr)
                continue
            seconds += time.process_time() - started
            paths.append(path)
        found, each = told_by(exported.path, paths)
    pairs = list(zip(found, own, strict=True))
    apart = [float(np.abs(np.array(one["probabilities"]) - other.probabilities).max()) for one, other in pairs]
    cells = (
        str(len(pairs)),
        str(sum(one["class"] == other.label for one, other in pairs)),
        str(sum(one["unlike"] == other.unlike for one, other in pairs)),
        str(sum(one["why"] == other.why for one, other in pairs)),
        f"{max(apart):.1g}",
        f"{each:.2f} s",
        f"{seconds / len(paths):.2f} s",
        file_size(sum(exported.files.values())),
    )
    header = ("photographs", "same class", "same refusal", "same words", "furthest", "program", "run", "folder")
    print(markdown_table([header, cells]))


if __name__ == "__main__":
    main()
