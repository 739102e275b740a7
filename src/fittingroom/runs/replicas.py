"""The folder of a run of several replicas: a whole run folder per seed, and `replicas.json`, which says what belongs.

    replicas.json    the seeds, which of them are kept, and the time of all together
    seed-0/          the replica with seed 0: a run folder like any other (`store.py`)
    seed-1/          ...

`replicas.json` is written last: a folder without it is no run. Openings of the test set are kept with each replica.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fittingroom.atomic import storage_errors, write_bytes
from fittingroom.errors import RunError
from fittingroom.evaluation.spread import Spread
from fittingroom.runs.images import write_images
from fittingroom.runs.json_files import damage, json_text, number, read_json
from fittingroom.runs.place import REPLICAS_NAME
from fittingroom.runs.record import PartResult, RunRecord, Seconds
from fittingroom.runs.store import RunContents, read_record, write_run

FORMAT = 1
_MOST_SEEDS = 10_000


@dataclass(frozen=True)
class ReplicasRecord:
    """What `replicas.json` says.

    Args:
        seeds: all seeds that were asked for, in that order.
        kept: those of which there is a run; a replica that ended before its first epoch did leaves none.
        seconds: times of all together; those of training are by the clock, not summed over replicas.
    """

    seeds: tuple[int, ...]
    kept: tuple[int, ...]
    seconds: Seconds


def replica_folder(path: Path, seed: int) -> Path:
    """Where the replica with this seed is."""
    return path / f"seed-{seed}"


def write_replicas(folder: Path, record: ReplicasRecord, replicas: Mapping[int, RunContents]) -> None:
    """Writes a run of several replicas into a folder that is there; `replicas.json` comes last.

    Args:
        folder: the run's.
        record: what `replicas.json` will say.
        replicas: the contents of each kept replica by its seed; at least one.

    Raises:
        StorageError: a file cannot be written; the folder is then no run.
    """
    images = next(iter(replicas.values())).images
    if images is not None:  # here too, so that runs beside this one find it at once
        write_images(folder, images)
    for seed, contents in replicas.items():
        with storage_errors(folder):
            replica_folder(folder, seed).mkdir(exist_ok=True)
        write_run(replica_folder(folder, seed), contents)
    write_bytes(folder / REPLICAS_NAME, json_text({"format": FORMAT, **asdict(record)}).encode())


def read_replicas(path: Path) -> ReplicasRecord:
    """What `replicas.json` says.

    Raises:
        RunError: it is missing or damaged, or was written in a newer format.
    """
    with damage(path, REPLICAS_NAME):
        stored: Mapping[str, Any] = read_json(path / REPLICAS_NAME)
        if stored["format"] != FORMAT:
            raise RunError(
                f"the run was written in format {stored['format']!r}; this version reads format {FORMAT}. "
                "pip install --upgrade fittingroom."
            )
        seconds = Seconds(**{part: number(stored["seconds"][part]) for part in ("setup", "compile", "train")})
        seeds, kept = (_read_seeds(stored[name]) for name in ("seeds", "kept"))
    return ReplicasRecord(seeds, kept, seconds)


def _read_seeds(stored: Any) -> tuple[int, ...]:
    """Seeds from plain JSON: whole numbers, since folders are named after them; at least one, and each once."""
    known = set(stored)
    if not (
        known and len(known) == len(stored) <= _MOST_SEEDS and all(type(seed) is int and seed >= 0 for seed in known)
    ):
        raise ValueError(f"its seeds are no list of different whole numbers: {str(stored)[:100]}")
    return tuple(stored)


def read_records(path: Path) -> dict[int, RunRecord]:
    """The record of each kept replica by its seed.

    Raises:
        RunError: one of the folders is missing or damaged, or was written in a newer format.
    """
    return {seed: read_record(replica_folder(path, seed)) for seed in read_replicas(path).kept}


def spread_of_parts(parts: Sequence[PartResult | None]) -> dict[str, Spread]:
    """`loss` (nats) and `accuracy` (0 to 1) over replicas; each is left out where a replica has none."""
    found = {
        "loss": [None if part is None else part.loss for part in parts],
        "accuracy": [None if part is None else part.accuracy for part in parts],
    }
    return {
        name: Spread.of(value for value in values if value is not None)
        for name, values in found.items()
        if None not in values
    }
