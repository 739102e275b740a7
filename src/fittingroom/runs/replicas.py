"""The folder of a run of several replicas: a whole run folder per seed, and `replicas.json`, which says what belongs.

    replicas.json    the seeds, which of them are kept, and the time of all together
    seed-0/          the replica with seed 0: a run folder like any other (`store.py`)
    seed-1/          ...

It is written whole or not at all, as a single run is. Openings of the test set are kept with each replica.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fittingroom.errors import RunError
from fittingroom.evaluation.spread import Spread
from fittingroom.files import sync_folder
from fittingroom.runs.damage import damage, read_json
from fittingroom.runs.place import REPLICAS_NAME
from fittingroom.runs.plain import json_text
from fittingroom.runs.record import PartResult, RunRecord, Seconds
from fittingroom.runs.store import RunContents, create_folder, read_record, write_run, write_synced

FORMAT = 1


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


def create_replicas(record: ReplicasRecord, replicas: Mapping[int, RunContents], out: Path | None = None) -> Path:
    """Writes the folder of a run of several replicas, whole or not at all.

    Args:
        record: what `replicas.json` will say.
        replicas: the contents of each kept replica by its seed; at least one.
        out: the run's own folder, new or empty; None for the next free name, as for a single run.

    Raises:
        RunError: `out` is there already and is not an empty folder.
        StorageError: it cannot be written; nothing is left behind.
    """

    def write(folder: Path) -> None:
        for seed, contents in replicas.items():
            replica_folder(folder, seed).mkdir()
            write_run(replica_folder(folder, seed), contents)
        write_synced(folder / REPLICAS_NAME, json_text({"format": FORMAT, **asdict(record)}).encode())
        sync_folder(folder)

    return create_folder(write, next(iter(replicas.values())).record, out)


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
        seconds = Seconds(**{part: float(stored["seconds"][part]) for part in ("setup", "compile", "train")})
        seeds, kept = (tuple(int(seed) for seed in stored[name]) for name in ("seeds", "kept"))
    return ReplicasRecord(seeds, kept, seconds)


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
