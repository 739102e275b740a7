"""Images per second in training a recipe, `cnn` unless another is named: ours against the same network elsewhere.

Usage: python -m benchmarks.cnn keras-jax | keras-tensorflow | pytorch | pytorch-bfloat16 [RECIPE]

All sides train on the same real images with the same batch size. The other side gets the recipe's Keras model as JSON,
so that it needs Keras or PyTorch alone. Its first epoch, which holds its compilation, does not count; ours times that
apart. Ours augments the images as the recipe says, the others do not. Against `pytorch-bfloat16`, ours trains with
`precision=mixed_bfloat16`; against `pytorch`, with it and without.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.bars import Bar, keep
from benchmarks.epochs import result, their_epochs
from benchmarks.pairs import Command, Sample, in_turn, measure
from benchmarks.sides import OURS, PEERS, ROOT, Peer, all_versions, chosen_peer, fashion_mnist, training

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


def other_side(peer: Peer, folder: Path, *options: str) -> Command:
    """Keras's own `fit`, or PyTorch's loop. Of this project it sees the folder `benchmarks` only."""
    module = "benchmarks.cnn_torch" if peer.backend is None else "benchmarks.keras_fit"
    arguments = (peer.python, "-m", module, str(folder), *options)
    return Command(peer.title, arguments, {**peer.environment, "PYTHONPATH": str(ROOT)}, folder)


def our_rate(sample: Sample) -> float:
    """Images per second."""
    trained = result(sample)
    return float(IMAGES["train"] * trained["epochs"] / trained["seconds"]["train"])


def their_rate(sample: Sample) -> float:
    """Images per second, from the second epoch on."""
    return IMAGES["train"] / their_epochs(sample)[0]


BFLOAT16 = "mixed_bfloat16"
SIDES = {**PEERS, "pytorch-bfloat16": replace(PEERS["pytorch"], title="PyTorch, bfloat16")}
PRECISIONS = {"pytorch": ("float32", BFLOAT16), "pytorch-bfloat16": (BFLOAT16,)}


def main() -> None:
    """Measures, prints the table and keeps it."""
    recipe = sys.argv[2] if len(sys.argv) > 2 else "cnn"
    name, peer = chosen_peer(sys.argv[1:2], SIDES)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_images(folder, fashion_mnist())
        measure(keras_task(folder, recipe))
        ours = {
            precision: training(
                folder,
                *("--recipe", recipe, "--epochs", str(EPOCHS), "--set", f"precision={precision}"),
                dataset=f"idx:{folder}",
                name=f"{OURS}, {precision}",
            )
            for precision in PRECISIONS.get(name, ("float32",))
        }
        theirs = other_side(peer, folder, *(["bfloat16"] if name == "pytorch-bfloat16" else []))
        rounds = in_turn([*ours.values(), theirs], ROUNDS)

    bars = [
        Bar(
            f"training `{recipe}`" + (", bfloat16" if precision == BFLOAT16 else ""),
            peer.title,
            [our_rate(samples[command.name]) for samples in rounds],
            [their_rate(samples[theirs.name]) for samples in rounds],
            unit=" images/s",
            digits=0,
            ratio="ours / theirs",
        )
        for precision, command in ours.items()
    ]
    keep(f"{recipe}-{name}", bars, {"versions": all_versions(peer), "images": IMAGES})


if __name__ == "__main__":
    main()
