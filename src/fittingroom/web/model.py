"""The model that a server answers with, and what is to be told about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fittingroom.api.loaded import Loaded
from fittingroom.api.replicas import Replicas
from fittingroom.api.run import Run
from fittingroom.errors import DataError, RunError
from fittingroom.photos.style import Style
from fittingroom.runs.record import DataRecord, RunRecord


@dataclass(frozen=True, eq=False)
class Model:
    """A run, or replicas that answer together, ready to answer.

    Args:
        path: the folder that it was read from, which is not needed again.
        paths: the folder of each replica, or the run's own.
        records: what it says.
        style: how the images that it was trained on were made, or why that is not known.
        loaded: what answers.
    """

    path: Path
    paths: tuple[Path, ...]
    records: tuple[RunRecord, ...]
    style: Style | str
    loaded: Loaded

    @classmethod
    def of(cls, opened: Run | Replicas) -> Model:
        """Reads and fits all that an answer takes.

        Raises:
            RunError: a file of it is damaged.
        """
        runs = [opened] if isinstance(opened, Run) else list(opened)
        loaded = opened.loaded()
        paths, records = tuple(run.path for run in runs), tuple(run.record for run in runs)
        return cls(opened.path, paths, records, _style(opened, loaded.data), loaded)

    @property
    def data(self) -> DataRecord:
        """What it was trained on."""
        return self.loaded.data


def _style(opened: Run | Replicas, data: DataRecord) -> Style | str:
    height, width = (*data.picture_shape, 0, 0)[:2]
    if data.load is None:
        return (
            "this model was trained on plain arrays, so it is not known how photos become what it takes. Send "
            + (f"pictures of {width}×{height} pixels, or " if data.takes_pictures else "")
            + "numbers as in training, as JSON."
        )
    try:
        return opened.style
    except (DataError, RunError) as error:
        return (
            f"the dataset that the model was trained on is not there any more, so photos cannot be made like it: send "
            f"pictures of {width}×{height} pixels. ({error})"
        )
