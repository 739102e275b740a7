"""The course's second exercise, 128, 512 and 1,024 neurons with five seeds each: ours against Keras alone.

Usage: python -m benchmarks.exercise2 keras-jax | keras-tensorflow

Whole processes: `fittingroom experiment`, which also compares the recipes and writes tables and a page, against one
process that calls `model.fit` 15 times. Both train on 55,000 of the 60,000 images for five epochs and validate on the
other 5,000 after each. The other side takes minutes, so there is one round, and only our side is warmed up.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.bars import Bar, keep
from benchmarks.pairs import Command, Sample, measure
from benchmarks.sides import PEERS, ROOT, Peer, all_versions, chosen_peer, fashion_mnist, program_environment

KNOWN = ("keras-jax", "keras-tensorflow")
WORK = "exercise 2: three sizes, five seeds, five epochs"


def ours(folder: Path) -> Command:
    """`fittingroom experiment` from nothing to its page."""
    program = Path(sys.executable).with_name("fittingroom")
    arguments = ("experiment", "--vary", "hidden=128,512,1024", "--seeds", "5", "--out", str(folder / "out"), "--json")
    return Command("Fitting Room", (str(program), *arguments), program_environment(folder), folder)


def theirs(peer: Peer) -> Command:
    """Fifteen times `model.fit`."""
    arguments = (peer.python, "-m", "benchmarks.exercise2_script", str(fashion_mnist()))
    return Command(peer.title, arguments, peer.environment, ROOT)


def measured(folder: Path) -> Sample:
    """One run of ours, in a folder where nothing is trained yet."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    return measure(ours(folder))


def main() -> None:
    """Measures, prints the table and keeps it."""
    name, peer = chosen_peer(sys.argv[1:], {key: PEERS[key] for key in KNOWN})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        measured(folder)  # to warm up
        own, other = measured(folder), measure(theirs(peer))
    accuracies = {
        "Fitting Room": {
            one["varied"]["hidden"]: one["accuracy"]["values"] for one in json.loads(own.output)["recipes"]
        },
        peer.title: json.loads(other.output.strip().splitlines()[-1]),
    }
    bars = [
        Bar(WORK, peer.title, [own.seconds], [other.seconds]),
        Bar(
            f"peak memory of {WORK}",
            peer.title,
            [own.peak_mib],
            [other.peak_mib],
            unit=" MiB",
            digits=0,
            ratio="ours / theirs",
            reading="the memory",
        ),
    ]
    keep(f"exercise2-{name}", bars, {"versions": all_versions(peer), "validation_accuracy": accuracies})


if __name__ == "__main__":
    main()
