"""A model that answers from memory alone, as a server wants it: nothing is read again, and its folder may go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fittingroom.answers.conformal import ALPHA
from fittingroom.answers.judgement import Answer, Judgement
from fittingroom.photos.photo_reader import Inputs
from fittingroom.runs.record import DataRecord

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Loaded:
    """All that an answer takes, of a run or of replicas that answer together.

    Args:
        version: 16 hexadecimal digits that are different for other weights.
        data: what it was trained on.
        judgement: what was learned from held-out images.
        log_probabilities: what the weights make of images, which it does not check.
    """

    version: str
    data: DataRecord
    judgement: Judgement
    log_probabilities: Callable[[Array], Array]

    def answer(self, inputs: Inputs) -> list[Answer]:
        """What `run.answer` says of images."""
        data, images = self.data, inputs.images
        logs = self.log_probabilities(images)
        return self.judgement.answers(logs, images, data.scale, (data.name, data.classes), ALPHA, inputs.cut_out)

    def warm_up(self, most: int) -> None:
        """Compiles the programs for all sizes of batches, which are powers of two, up to `most` images."""
        dtype, size = np.float32 if self.data.as_given else np.uint8, 1
        while size <= most:
            self.answer(Inputs.plain(np.zeros((size, *self.data.image_shape), dtype)))
            size *= 2
