"""The model that a server answers with: all of it in memory, so that it outlives its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.api.judging import mean_of
from fittingroom.api.replicas import Replicas
from fittingroom.api.run import Run
from fittingroom.errors import DataError, RunError
from fittingroom.evaluation.conformal import ALPHA
from fittingroom.evaluation.judgement import Answer, Judgement
from fittingroom.photos.style import Style
from fittingroom.runs.judgement import digest_of
from fittingroom.runs.record import DataRecord, RunRecord

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Model:
    """A run, or replicas that answer together, ready to answer.

    Args:
        path: the folder that it was read from.
        version: 16 hexadecimal digits that are different for other weights.
        records: what the folder says of each replica.
        style: how the images that it was trained on were made, or why that is not known.
        judgement: what was learned from held-out images.
        log_probabilities: what the weights make of images.
    """

    path: Path
    version: str
    records: tuple[RunRecord, ...]
    style: Style | str
    judgement: Judgement
    log_probabilities: Callable[[Array], Array]

    @classmethod
    def of(cls, opened: Run | Replicas) -> Model:
        """Reads and fits all that an answer takes; the folder is not needed again.

        Raises:
            RunError: a file of it is damaged.
        """
        runs: Sequence[Run] = [opened] if isinstance(opened, Run) else opened
        opened.log_probabilities(_blank(runs[0].record.data, 1))  # makes replicas share the first one's programs
        parts = [partial(run._compiled().log_probabilities, run._state) for run in runs]
        return cls(
            opened.path,
            digest_of([run.path for run in runs]).hex()[:16],
            tuple(run.record for run in runs),
            _style(opened),
            opened._judgement,
            lambda images: np.asarray(mean_of([part(images) for part in parts])),
        )

    @property
    def data(self) -> DataRecord:
        """What it was trained on."""
        return self.records[0].data

    def answer(self, images: Array) -> list[Answer]:
        """What `run.answer` says of images, `(n, ...)`."""
        data = self.data
        logs = self.log_probabilities(images)
        return self.judgement.answers(logs, images, data.scale, (data.name, data.classes), ALPHA)

    def warm_up(self, most: int) -> None:
        """Compiles the programs for all sizes of batches, which are powers of two, up to `most` images."""
        size = 1
        while size <= most:
            self.answer(_blank(self.data, size))
            size *= 2


def _blank(data: DataRecord, count: int) -> Array:
    return np.zeros((count, *data.image_shape), np.float32 if data.load is None else np.uint8)


def _style(opened: Run | Replicas) -> Style | str:
    data = (opened if isinstance(opened, Run) else opened[0]).record.data
    if data.load is None:
        return (
            "this model was trained on plain arrays, so it is not known how pictures become what it takes. Send "
            "numbers as in training, as JSON."
        )
    try:
        return opened.style
    except (DataError, RunError) as error:
        height, width = data.image_shape[:2]
        return (
            f"the dataset that the model was trained on is not there any more, so photos cannot be made like it: send "
            f"pictures of {width}×{height} pixels. ({error})"
        )
