"""Asking a trained model, as whole processes: a photo, a score, a report; ours against a short script that uses Keras.

Usage: python -m benchmarks.whole_answers keras-jax | keras-tensorflow

`fittingroom predict` cuts the photo out and says how far its answer can be trusted; the script only makes it small. For
a run's first photo, reference statistics are made besides. What has no other side is compared with a start of Python
and NumPy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import fittingroom
from benchmarks.bars import Bar, keep
from benchmarks.cnn import write_images
from benchmarks.pairs import Command, in_turn
from benchmarks.sides import HERE, PEERS, Peer, all_versions, chosen_peer, fashion_mnist, program_environment

ROUNDS = 5
START = "a start of Python and NumPy"


def write_photo(path: Path) -> None:
    """A dress of Fashion-MNIST on a grey wall, as a photo of 600x800 pixels."""
    part = fittingroom.load("fashion-mnist").train
    dress = np.asarray(part.images[int(np.flatnonzero(part.labels == 3)[0])])
    large = np.asarray(Image.fromarray(dress).resize((480, 480), Image.Resampling.BICUBIC), np.float32) / 255
    wall = np.full((800, 600), 200, np.float32) + np.random.default_rng(0).normal(0, 4, (800, 600))
    wall[160:640, 60:540] = wall[160:640, 60:540] * (1 - large) + 40 * large
    Image.fromarray(np.clip(wall, 0, 255).astype(np.uint8)).convert("RGB").save(path, quality=92)


def trained(folder: Path, recipe: str) -> Path:
    """A run of the recipe in `folder`, and its Keras model beside it."""
    program, environment = str(Path(sys.executable).with_name("fittingroom")), program_environment(folder)
    data = folder / "images"
    if recipe == "cnn" and not data.exists():
        data.mkdir()
        write_images(data, fashion_mnist())
    place = folder / recipe
    task = ["train", *([f"idx:{data}", "--epochs", "1"] if recipe == "cnn" else []), "--recipe", recipe]
    for command in (
        [*task, "--out", str(place)],
        ["export", str(place), "--to", "keras", "--out", str(folder / f"{recipe}.keras")],
    ):
        subprocess.run(
            [program, *command, "--json"], env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL
        )
    return place


def asked(name: str, folder: Path, *arguments: str, fresh: Path | None = None) -> Command:
    """One command of ours; with `fresh`, on a copy of a run that nobody has asked yet."""
    line = f"{Path(sys.executable).with_name('fittingroom')} {' '.join(arguments)}"
    if fresh is not None:
        line = f"rm -rf fresh && cp -r {fresh} fresh && {line}"
    return Command(name, ("sh", "-c", f"{line} > answer.txt"), program_environment(folder), folder)


def script(peer: Peer, folder: Path, recipe: str, place: Path) -> Command:
    """The peer's script about a photo or the test images."""
    arguments = (peer.python, str(HERE / "answer_script.py"), str(folder / f"{recipe}.keras"), str(place))
    return Command(f"{peer.title}, {recipe}, {place.suffix}", arguments, peer.environment, folder)


def main() -> None:
    """Measures, prints the table and keeps it."""
    known = {name: peer for name, peer in PEERS.items() if peer.backend is not None}
    name, peer = chosen_peer(sys.argv[1:], known)
    with tempfile.TemporaryDirectory() as here:
        folder = Path(here)
        photo = folder / "photo.jpg"
        write_photo(photo)
        course, cnn = trained(folder, "course"), trained(folder, "cnn")
        untouched = shutil.copytree(course, folder / "untouched")
        start = Command(START, (sys.executable, "-c", "import numpy"), {}, folder)
        photo_course, photo_cnn, score = (
            script(peer, folder, "course", photo),
            script(peer, folder, "cnn", photo),
            script(peer, folder, "course", fashion_mnist()),
        )
        pairs = [
            (asked("the first photo of a run", folder, "predict", "fresh", str(photo), fresh=untouched), photo_course),
            (asked("a later photo, `course`", folder, "predict", str(course), str(photo)), photo_course),
            (asked("a later photo, `cnn`", folder, "predict", str(cnn), str(photo)), photo_cnn),
            (asked("the score of a run, `evaluate`", folder, "evaluate", str(course)), score),
            (asked("what loss and accuracy say, `explain`", folder, "explain", str(course)), start),
            (asked("the page of a run, `report`", folder, "report", str(course), "--out", "page.html"), start),
        ]
        sides = list({one.name: one for pair in pairs for one in pair}.values())
        rounds = in_turn(sides, ROUNDS)
    seconds = {one.name: [samples[one.name].seconds for samples in rounds] for one in sides}
    bars = [
        Bar(
            f"{ours.name} (whole process)",
            peer.title if theirs is not start else START,
            seconds[ours.name],
            seconds[theirs.name],
            ratio="theirs / ours" if theirs is not start else "ours / theirs",
            reading="as fast" if theirs is not start else "the time",
        )
        for ours, theirs in pairs
        if theirs is not start or name == "keras-jax"
    ]
    keep(f"whole-answers-{name}", bars, {"versions": all_versions(peer)})


if __name__ == "__main__":
    main()
