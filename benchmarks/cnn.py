"""Images per second in training a recipe, `cnn` unless another is named: ours against `fit` of the same Keras model.

Usage: python -m benchmarks.cnn keras-jax | keras-tensorflow [RECIPE]

Both sides train on the same real images with the same batch size. The other side gets the recipe's Keras model as JSON,
so that it needs Keras alone. Its first epoch, which holds its compilation, does not count; ours times that apart.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path

from benchmarks.bars import Bar, keep
from benchmarks.epochs import result, their_epochs
from benchmarks.pairs import Command, Sample, in_turn, measure
from benchmarks.sides import PEERS, ROOT, Peer, all_versions, chosen_peer, fashion_mnist, training

ROUNDS, EPOCHS = 5, 3
IMAGES = {"train": 6_400, "t10k": 1_000}
"""Enough for a steady speed, and a multiple of the usual batch sizes, so that nobody has a smaller last batch."""


def write_images(folder: Path, source: Path) -> None:
    """The first images and labels of both parts, as the four gzip files of Fashion-MNIST."""
    for part, count in IMAGES.items():
        for name, header, size in (("images-idx3-ubyte", 16, 28 * 28), ("labels-idx1-ubyte", 8, 1)):
            with gzip.open(source / f"{part}-{name}.gz") as stream:
                start, values = stream.read(header), stream.read(count * size)
            # Bytes 4 to 8 of the header are the number of images.
            with gzip.open(folder / f"{part}-{name}.gz", "wb", compresslevel=1) as stream:
                stream.write(start[:4] + count.to_bytes(4, "big") + start[8:] + values)


def keras_task(folder: Path, recipe: str) -> Command:
    """Writes the recipe's Keras model, and how it is trained, for `keras_fit`."""
    arguments = (sys.executable, "-m", "benchmarks.keras_task", recipe, str(EPOCHS), str(folder))
    return Command("the recipe's model", arguments, {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}, folder)


def keras_fit(peer: Peer, folder: Path) -> Command:
    """Keras's own `fit`. Of this project it sees the folder `benchmarks` only."""
    arguments = (peer.python, "-m", "benchmarks.keras_fit", str(folder))
    return Command(peer.title, arguments, {**peer.environment, "PYTHONPATH": str(ROOT)}, folder)


def our_rate(sample: Sample) -> float:
    """Images per second."""
    trained = result(sample)
    return float(IMAGES["train"] * trained["epochs"] / trained["seconds"]["train"])


def their_rate(sample: Sample) -> float:
    """Images per second, from the second epoch on."""
    return IMAGES["train"] / their_epochs(sample)[0]


def main() -> None:
    """Measures, prints the table and keeps it."""
    recipe = sys.argv[2] if len(sys.argv) > 2 else "cnn"
    name, peer = chosen_peer(sys.argv[1:2], {name: peer for name, peer in PEERS.items() if peer.backend is not None})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_images(folder, fashion_mnist())
        measure(keras_task(folder, recipe))
        ours = training(folder, "--recipe", recipe, "--epochs", str(EPOCHS), dataset=f"idx:{folder}")
        theirs = keras_fit(peer, folder)
        rounds = in_turn([ours, theirs], ROUNDS)

    bar = Bar(
        f"training `{recipe}`",
        peer.title,
        [our_rate(samples[ours.name]) for samples in rounds],
        [their_rate(samples[theirs.name]) for samples in rounds],
        unit=" images/s",
        digits=0,
        ratio="ours / theirs",
    )
    keep(f"{recipe}-{name}", [bar], {"versions": all_versions(peer), "images": IMAGES})


if __name__ == "__main__":
    main()
