"""The sides of a comparison: Fitting Room, and the course's script on a backend of Keras or in plain PyTorch."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pairs import Command, machine, versions

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
PEERS_PYTHON = str(ROOT / ".venv-peers" / "bin" / "python")
OURS = "Fitting Room"


@dataclass(frozen=True)
class Peer:
    """What Fitting Room is compared with.

    Args:
        title: its name in tables.
        python: its interpreter.
        modules: those whose versions matter.
        backend: KERAS_BACKEND; None if it does not use Keras.
        script: the course's first lab, written for it.
    """

    title: str
    python: str
    modules: tuple[str, ...]
    backend: str | None
    script: Path = HERE / "course_script.py"

    @property
    def environment(self) -> dict[str, str]:
        """What it needs in its environment."""
        return {} if self.backend is None else {"KERAS_BACKEND": self.backend}


PEERS = {
    "keras-jax": Peer("Keras on JAX", sys.executable, ("keras", "jax", "numpy"), "jax"),
    "keras-tensorflow": Peer("Keras on TensorFlow", PEERS_PYTHON, ("keras", "tensorflow", "numpy"), "tensorflow"),
    "pytorch": Peer("PyTorch", PEERS_PYTHON, ("torch", "numpy"), None, HERE / "course_torch.py"),
}


def chosen_peer(arguments: list[str], known: dict[str, Peer] = PEERS) -> tuple[str, Peer]:
    """The peer that the command line names, by its name and as it is; ends the process if it names none."""
    if len(arguments) != 1 or arguments[0] not in known:
        sys.exit(f"usage: python -m benchmarks.{Path(sys.argv[0]).stem} {' | '.join(known)}")
    return arguments[0], known[arguments[0]]


def fashion_mnist() -> Path:
    """The folder with the four gzip files that the course's script reads."""
    folder = Path(os.environ.get("FITTINGROOM_DATA_DIR") or DEBIAN)
    if not (folder / "train-images-idx3-ubyte.gz").exists():
        sys.exit(
            f"{folder} does not hold Fashion-MNIST: set FITTINGROOM_DATA_DIR to a folder with its four gzip files."
        )
    return folder


def training(folder: Path, *options: str, dataset: str = "fashion-mnist", name: str = OURS) -> Command:
    """`fittingroom train` on all training images; it prints one JSON object."""
    return Command(name, ("sh", "-c", _train(dataset, options)), program_environment(folder), folder)


def seeds_at_once(folder: Path) -> Command:
    """`fittingroom train` of the course's model with as many seeds as there are cores."""
    count = machine()["cores"]
    return training(folder, "--seeds", str(count), name=f"{OURS}, {count} seeds")


def training_and_test(folder: Path, *options: str, cold: bool = False) -> Command:
    """`fittingroom train`, then `fittingroom evaluate` as a second process, whose JSON object is what is printed.

    With `cold` nothing of ours is cached: neither compiled programs nor decoded images.
    """
    line = f"{_train('fashion-mnist', options)} > train.json && {_program()} evaluate --json"
    if cold:
        line = f"FITTINGROOM_CACHE_DIR=$(mktemp -d ./cache.XXXXXX) && export FITTINGROOM_CACHE_DIR && {line}"
    return Command(f"{OURS}, nothing cached" if cold else OURS, ("sh", "-c", line), program_environment(folder), folder)


def one_script(folder: Path) -> Command:
    """The same training and test score as one Python script of three lines, as the course's is."""
    arguments = (sys.executable, str(HERE / "our_script.py"))
    return Command(f"{OURS}, one script", arguments, program_environment(folder), folder)


def course_script(peer: Peer, folder: Path, *options: str) -> Command:
    """The course's script as the peer runs it."""
    return Command(
        peer.title, (peer.python, str(peer.script), str(fashion_mnist()), *options), peer.environment, folder
    )


def program_environment(folder: Path) -> dict[str, str]:
    """What our side needs; its looks at the test set, which time it and choose nothing, go to a ledger of their own.

    Bytecode may be written, where the shell forbids it: an installed package has it, as every peer's has here, and a
    checkout without it would be compiled in each process.
    """
    return {"KERAS_BACKEND": "jax", "FITTINGROOM_LEDGER": str(folder / "ledger.sqlite"), "PYTHONDONTWRITEBYTECODE": ""}


def our_versions() -> dict[str, str]:
    """The versions on our side."""
    return versions(sys.executable, ("fittingroom", "keras", "jax", "numpy"), {"KERAS_BACKEND": "jax"})


def all_versions(peer: Peer) -> dict[str, dict[str, str]]:
    """The versions on both sides."""
    return {OURS: our_versions(), peer.title: versions(peer.python, peer.modules, peer.environment)}


def _program() -> str:
    return shlex.quote(str(Path(sys.executable).with_name("fittingroom")))


def _train(dataset: str, options: tuple[str, ...]) -> str:
    return f"{_program()} train {shlex.join([dataset, '--validation', '0', *options, '--json'])}"
