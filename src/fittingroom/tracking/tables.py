"""Logs as plain tables: CSV with a line for each epoch, and JSON Lines with an object for each event.

A file may hold several runs, and each is in it once: what it has of a run is replaced when the run is logged again.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from fittingroom.atomic import expanded, storage_errors, write_bytes
from fittingroom.errors import InputError
from fittingroom.runs.json_files import plain
from fittingroom.tracking.events import (
    ConfusionCounted,
    EpochEnds,
    Event,
    ImagesPlaced,
    ModelExported,
    RunBegins,
    RunEnds,
    SeedEnds,
    SeedsSpread,
)

_FIRST = ["run", "seed", "epoch", "time"]
_LARGEST = 256 * 2**20


def logs_folder(begins: RunBegins) -> Path:
    """Where logs go that name no place: into the run's own folder, or beside the runs for a run in memory."""
    if begins.folder is not None:
        return begins.folder / "logs"
    from fittingroom.runs.place import RunsFolder

    return RunsFolder().path / "logs" / begins.run


class CsvTable:
    """A table of the numbers of each epoch and seed: `run,seed,epoch,time` and what was measured.

    Epochs count from 1, as in `history.csv`; times are ISO 8601, UTC. A cell is empty where an epoch has no value.

    Args:
        place: the file; empty for `logs/epochs.csv` in the run's folder.
        begins: the run.

    Raises:
        InputError: the file is there, and is not such a table.
        StorageError: it cannot be written.
    """

    def __init__(self, place: str, begins: RunBegins) -> None:
        self._path = _made(place, begins, "epochs.csv")
        self._run = begins.run
        self._names, self._rows = self._others()
        self._stream: IO[bytes] | None = None
        self.where = f"{self._path} has a line for each epoch."
        self._write_all()

    def write(self, event: Event) -> None:
        """Adds the line of an epoch."""
        if not isinstance(event, EpochEnds):
            return
        facts = {"run": self._run, "seed": event.seed, "epoch": event.epoch + 1, "time": _moment(event.at)}
        row = {name: str(value) for name, value in facts.items()}
        row |= {name: repr(float(value)) for name, value in event.numbers.items()}
        self._rows.append(row)
        new = [name for name in row if name not in self._names]
        if new:
            self._names += new
            self._write_all()
            return
        with storage_errors(self._path):
            if self._stream is None:
                self._stream = self._path.open("ab", buffering=0)
            self._stream.write(self._text([row]))

    def close(self) -> None:
        """Closes the file."""
        if self._stream is not None:
            self._stream.close()

    def _others(self) -> tuple[list[str], list[dict[str, str]]]:
        """The columns of the file and the lines of other runs in it."""
        text = _read(self._path)
        if not text:
            return list(_FIRST), []
        table = csv.DictReader(io.StringIO(text))
        names = list(table.fieldnames or ())
        if names[: len(_FIRST)] != _FIRST:
            raise InputError(
                f"{self._path} is there already, and its columns do not begin with {','.join(_FIRST)}. Name another "
                "file."
            )
        rows = [{name: cell for name, cell in row.items() if name and cell} for row in table]
        return names, [row for row in rows if row.get("run") != self._run]

    def _write_all(self) -> None:
        """Writes the whole file, when it is opened and when an epoch has a number that no one had before."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        write_bytes(self._path, self._text([dict(zip(self._names, self._names, strict=True)), *self._rows]))

    def _text(self, rows: list[dict[str, str]]) -> bytes:
        text = io.StringIO()
        csv.DictWriter(text, self._names, restval="", lineterminator="\n").writerows(rows)
        return text.getvalue().encode()


class JsonLines:
    """A file with a JSON object for each event: `event`, `run`, `time`, and what the event has, with epochs from 0.

    What JSON cannot say, such as NaN, is null. Of images and models only how many there are, and what is known of them.

    Args:
        place: the file; empty for `logs/events.jsonl` in the run's folder.
        begins: the run.

    Raises:
        InputError: the file is there, and is not such a file.
        StorageError: it cannot be written.
    """

    def __init__(self, place: str, begins: RunBegins) -> None:
        self._path = _made(place, begins, "events.jsonl")
        self._run = begins.run
        others = b"".join(self._others())
        write_bytes(self._path, others)
        with storage_errors(self._path):
            self._stream = self._path.open("ab", buffering=0)
        self.where = f"{self._path} has a JSON object for each event."

    def write(self, event: Event) -> None:
        """Adds a line."""
        facts = _TOLD[type(event)](event)
        line = {"event": _NAMES[type(event)], "run": self._run, "time": _moment(event.at), **facts}
        text = json.dumps(plain(line), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        with storage_errors(self._path):
            self._stream.write(text.encode() + b"\n")

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()

    def _others(self) -> Iterator[bytes]:
        """The lines of other runs."""
        for line in _read(self._path).splitlines():
            try:
                run = json.loads(line)["run"]
            except (ValueError, TypeError, KeyError) as error:
                raise InputError(
                    f"{self._path} is there already, and is not a log of events. Name another file."
                ) from error
            if run != self._run:
                yield line.encode() + b"\n"


_NAMES: Mapping[type, str] = {
    RunBegins: "run_begins",
    EpochEnds: "epoch_ends",
    SeedsSpread: "seeds_spread",
    SeedEnds: "seed_ends",
    ConfusionCounted: "confusion_counted",
    ImagesPlaced: "images_placed",
    ModelExported: "model_exported",
    RunEnds: "run_ends",
}


def _spreads(event: SeedsSpread | RunEnds) -> dict[str, Any]:
    return {
        name: {"mean": one.mean, "deviation": one.deviation, "seeds": len(one.values)}
        for name, one in event.numbers.items()
    }


_TOLD: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    RunBegins: lambda one: {"seeds": list(one.seeds), "settings": dict(one.settings), "data": dict(one.data)},
    EpochEnds: lambda one: {"seed": one.seed, "epoch": one.epoch, "numbers": dict(one.numbers)},
    SeedsSpread: lambda one: {"epoch": one.epoch, "numbers": _spreads(one)},
    SeedEnds: lambda one: {
        "seed": one.seed,
        "status": one.status,
        "reason": one.reason,
        "epoch": one.epoch,
        "numbers": dict(one.numbers),
        "notes": list(one.notes),
        "weights": one.weights,
    },
    ConfusionCounted: lambda one: {"seed": one.seed, "classes": list(one.classes), "counts": one.counts.tolist()},
    ImagesPlaced: lambda one: {"seed": one.seed, "source": one.source, "images": len(one.points)},
    ModelExported: lambda one: {"bytes": len(one.content), "facts": dict(one.facts)},
    RunEnds: lambda one: {"status": one.status, "numbers": _spreads(one)},
}


def _made(place: str, begins: RunBegins, name: str) -> Path:
    """The file, its folder made."""
    path = expanded(place) if place else logs_folder(begins) / name
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _read(path: Path) -> str:
    """The text of a file that may be there.

    Raises:
        InputError: it is too large to be read.
    """
    with storage_errors(path):
        if not path.exists():
            return ""
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path} has more than {_LARGEST // 2**20} MB. Name another file.")
        return path.read_text(encoding="utf-8", errors="replace")


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
