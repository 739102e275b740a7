"""The two sides of a comparison: Fitting Room, and the course's script on a backend of Keras."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pairs import Command, versions

ROOT = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("course_script.py")
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Peer:
    """What Fitting Room is compared with: its title, KERAS_BACKEND, interpreter, and modules whose versions matter."""

    title: str
    backend: str
    python: str
    modules: tuple[str, ...]


PEERS = {
    "keras-jax": Peer("Keras on JAX", "jax", sys.executable, ("keras", "jax", "numpy")),
    "keras-tensorflow": Peer(
        "Keras on TensorFlow",
        "tensorflow",
        str(ROOT / ".venv-peers" / "bin" / "python"),
        ("keras", "tensorflow", "numpy"),
    ),
}


def chosen_peer() -> tuple[str, Peer]:
    """The peer that the command line names."""
    names = " | ".join(PEERS)
    if len(sys.argv) != 2 or sys.argv[1] not in PEERS:
        sys.exit(f"usage: python -m {Path(sys.argv[0]).stem} {names}")
    return sys.argv[1], PEERS[sys.argv[1]]


def fashion_mnist() -> Path:
    """The folder with the four gzip files that the course's script reads."""
    folder = Path(os.environ.get("FITTINGROOM_DATA_DIR") or DEBIAN)
    if not (folder / "train-images-idx3-ubyte.gz").exists():
        sys.exit(
            f"{folder} does not hold Fashion-MNIST: set FITTINGROOM_DATA_DIR to a folder with its four gzip files."
        )
    return folder


def fitting_room(folder: Path, *, evaluate: bool, seed: int = 0) -> Command:
    """`fittingroom train` on all training images and, on request, `fittingroom evaluate` as a second process.

    It prints one JSON object: that of the last process.
    """
    program = shlex.quote(str(Path(sys.executable).with_name("fittingroom")))
    line = f"{program} train fashion-mnist --validation 0 --seed {seed} --json"
    if evaluate:
        line += f" > train.json && {program} evaluate --json"
    return Command("Fitting Room", ("sh", "-c", line), {"KERAS_BACKEND": "jax"}, folder)


def course_script(peer: Peer, folder: Path, *options: str) -> Command:
    """The course's script on a peer's backend."""
    arguments = (peer.python, str(SCRIPT), str(fashion_mnist()), *options)
    return Command(peer.title, arguments, {"KERAS_BACKEND": peer.backend}, folder)


def all_versions(peer: Peer) -> dict[str, dict[str, str]]:
    """The versions on both sides."""
    ours = versions(sys.executable, ("fittingroom", "keras", "jax", "numpy"), {"KERAS_BACKEND": "jax"})
    return {"Fitting Room": ours, peer.title: versions(peer.python, peer.modules, {"KERAS_BACKEND": peer.backend})}
