#!/usr/bin/env python3
"""Writes the programs that the package ships, so that a first training imports no Keras and traces nothing.

Usage: python scripts/programs.py

They are what trainings of Fashion-MNIST with nothing cached leave in the cache folder, for recipes whose training is so
short that tracing counts. A program is used only by the versions and the source that it was traced from: write them
again when the source of `engine`, `recipes` or `backbones` has changed (a test says so).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

RECIPES = ("linear", "course", "wide")
HELD_OUT = ("5000", "0")  # what `train` does by default, and training on all images
MANY_DEVICES = "64"  # that share no batch of these recipes, so that fewer do not


def main() -> None:
    """Trains each recipe, and takes what is kept of its programs; answers need none (decision 75)."""
    from fittingroom.engine.recipe_programs import SHIPPED

    SHIPPED.unlink(missing_ok=True)  # else the trainings would use them, and keep nothing
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for recipe in RECIPES:
            for held_out in HELD_OUT:
                _train(recipe, held_out, folder)
        contents = dict(sorted(_contents(folder / "cache" / "programs")))
    with zipfile.ZipFile(SHIPPED, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)  # without the time of writing
    print(f"{SHIPPED.name}: {len(contents)} files, {SHIPPED.stat().st_size:,} bytes")


def _train(recipe: str, held_out: str, folder: Path) -> None:
    environment = {
        **os.environ,
        "FITTINGROOM_CACHE_DIR": str(folder / "cache"),
        "FITTINGROOM_LEDGER": str(folder / "ledger.sqlite"),
        "FITTINGROOM_RUNS_DIR": str(folder / "runs"),
        "JAX_NUM_CPU_DEVICES": MANY_DEVICES,
        "JAX_HLO_SOURCE_FILE_CANONICALIZATION_REGEX": ".*",  # no paths of this machine
        "KERAS_BACKEND": "jax",
    }
    options = ("--recipe", recipe, "--validation", held_out, "--epochs", "1", "--json")
    program = (sys.executable, "-m", "fittingroom", "train", "fashion-mnist", *options)
    subprocess.run(program, env=environment, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _contents(programs: Path) -> list[tuple[str, bytes]]:
    """The files by their names in the archive: without the number of devices."""
    from fittingroom.atomic import CheckedFile

    found = []
    for path in programs.glob("*/*"):
        content = CheckedFile(path).read()
        name = path.name
        if content is None:
            sys.exit(f"{path} is damaged")
        if path.suffix == ".jax":
            program, _, digest = name.split("-")
            name = f"{program}-{digest}"
        if str(Path.home()).encode() in content or b"site-packages" in content:
            sys.exit(f"{name} holds a path of this machine")
        found.append((f"{path.parent.name}/{name}", content))
    return found


if __name__ == "__main__":
    main()
