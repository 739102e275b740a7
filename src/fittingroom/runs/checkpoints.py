"""Checkpoints: what a stopped training is resumed from, in the run's folder while it trains.

    checkpoints/0000007-00000000.state  everything after 7 epochs and no further step, behind its SHA-256
    checkpoints/0000006.outcomes        what came of each validation image in the epoch of that number, likewise

A checkpoint needs the outcomes of all epochs before it. Each is written once, so that a checkpoint costs the same after
the last epoch as after the first. The last two states are kept: if the newest is damaged, the other takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.atomic import CheckedFile, storage_errors, sweep
from fittingroom.errors import RunError

if TYPE_CHECKING:
    import numpy.typing as npt

    Arrays = Mapping[str, npt.NDArray[Any]]

FOLDER = "checkpoints"
FORMAT = 1
KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """A training that was stopped, as plain data and arrays.

    Args:
        epoch: the number of the epoch to continue with, from 0.
        step: how many of its steps are done.
        facts: plain JSON.
        arrays: name -> array.
        outcomes: number of an epoch -> name -> array.
    """

    epoch: int
    step: int
    facts: Mapping[str, Any]
    arrays: Arrays
    outcomes: Mapping[int, Arrays]


class Checkpoints:
    """The checkpoints of one seed.

    Args:
        run: the folder of the seed.
    """

    def __init__(self, run: Path) -> None:
        self._folder = run / FOLDER
        self._written: set[int] = set()  # epochs whose outcomes are there and whole

    def write(self, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint, whole or not at all, and removes those that are no longer needed.

        Raises:
            StorageError: it cannot be written; the checkpoints before it are as they were.
        """
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        for epoch in checkpoint.outcomes.keys() - self._written:
            CheckedFile(self._outcomes_file(epoch)).write(_packed({}, checkpoint.outcomes[epoch]))
            self._written.add(epoch)
        facts = {"format": FORMAT, "outcomes": sorted(checkpoint.outcomes), "facts": checkpoint.facts}
        name = f"{checkpoint.epoch:07d}-{checkpoint.step:08d}.state"
        CheckedFile(self._folder / name).write(_packed(facts, checkpoint.arrays))
        with storage_errors(self._folder):
            for old in self._states()[KEPT:]:
                old.unlink()

    def exist(self) -> bool:
        """Whether there is a checkpoint, whole or not."""
        return bool(self._states())

    def read(self) -> tuple[Checkpoint, tuple[str, ...]]:
        """The newest checkpoint that is whole, and what is damaged, in sentences.

        Where the outcomes of an early epoch are damaged, so that no checkpoint is whole, it is the newest without them.

        Raises:
            RunError: there is none, all are damaged, or they were written in a newer format.
        """
        sweep(self._folder)
        notes, incomplete = [], None
        for path in self._states():
            checkpoint, lost = self._read(path)
            if checkpoint is not None and not lost:
                break
            what = f"the outcomes of epoch {min(lost) + 1}, which it needs, are" if lost else "it is"
            notes.append(f"The checkpoint {path.name} is not used: {what} damaged or missing.")
            incomplete = incomplete or checkpoint
        else:
            if incomplete is None:
                damaged = " ".join(notes).rstrip(".") or "it has no checkpoint"
                raise RunError(f"{self._folder.parent} cannot be resumed: {damaged}. Train it again from the start.")
            checkpoint = incomplete
            notes = ["The outcomes of some epochs are damaged or missing, so the run will be without them."]
        self._written = set(checkpoint.outcomes)
        return checkpoint, tuple(notes)

    def _read(self, path: Path) -> tuple[Checkpoint | None, list[int]]:
        """A checkpoint from its file, or None where that is damaged; and the epochs whose outcomes are."""
        whole = _read_whole(path)
        if whole is None:
            return None, []
        stored, arrays = whole
        if stored["format"] != FORMAT:
            raise RunError(
                f"{path} has format {stored['format']!r}, and this version reads format {FORMAT}. Resume with the "
                "version that began the training."
            )
        outcomes, lost = {}, []
        for epoch in stored["outcomes"]:
            part = _read_whole(self._outcomes_file(epoch))
            if part is None:
                lost.append(epoch)
            else:
                outcomes[epoch] = part[1]
        epoch, step = map(int, path.stem.split("-"))
        return Checkpoint(epoch, step, stored["facts"], arrays, outcomes), lost

    def _states(self) -> list[Path]:
        """The states, newest first."""
        return sorted(self._folder.glob("*.state"), reverse=True)

    def _outcomes_file(self, epoch: int) -> Path:
        return self._folder / f"{epoch:07d}.outcomes"


def _packed(facts: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Facts and arrays as one safetensors file. Types that it does not know (JAX's bfloat16) go as bytes."""
    import numpy as np
    from safetensors.numpy import save

    types = {name: (array.dtype.name, array.shape) for name, array in arrays.items() if array.dtype.kind == "V"}
    plain = {
        name: np.frombuffer(array.tobytes(), np.uint8) if name in types else np.asarray(array, order="C")
        for name, array in arrays.items()
    }
    return bytes(save(plain, metadata={"facts": json.dumps(facts), "types": json.dumps(types)}))


def _read_whole(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]] | None:
    """Facts and arrays of a file; None where it is missing, damaged, or not of our making, whatever its hash says."""
    content = CheckedFile(path).read()
    if content is None:
        return None
    try:
        return _unpacked(content)
    except Exception:  # readers of nonsense raise almost anything
        return None


def _unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    import numpy as np
    from safetensors.numpy import load

    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size])["__metadata__"]
    arrays = dict(load(content))
    for name, (kind, shape) in json.loads(metadata["types"]).items():
        arrays[name] = np.frombuffer(arrays[name].tobytes(), np.dtype(kind)).reshape(shape)
    return json.loads(metadata["facts"]), arrays
