"""Runs as trainings leave them behind, without a training."""

from __future__ import annotations

from pathlib import Path

from fittingroom.runs.place import RunsFolder
from fittingroom.runs.store import RunContents, write_run


def create(contents: RunContents, out: Path | None = None) -> Path:
    """A run's folder: `out`, or the next free one in the runs folder."""
    record = contents.record
    folder = RunsFolder().make_run(RunsFolder.name_of_run(record.created, record.data.name, record.recipe["name"]), out)
    write_run(folder, [contents])
    return folder
