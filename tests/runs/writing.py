"""Runs as trainings leave them behind, without a training."""

from __future__ import annotations

from pathlib import Path

from fittingroom.runs.layout import RunContents, write_run
from fittingroom.runs.place import RunsFolder


def create(contents: RunContents, out: Path | None = None) -> Path:
    """A run's folder: `out`, or the next free one in the runs folder."""
    record = contents.record
    folder = RunsFolder().make_run(RunsFolder.name_of_run(record.created, record.data.name, record.recipe["name"]), out)
    write_run(folder, [contents])
    return folder
