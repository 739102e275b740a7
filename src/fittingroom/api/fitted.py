"""`FittedRun`: the run that `fit` gives back, which is Keras's `History` too. Importing this module imports Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from fittingroom.api.run import Run
from fittingroom.data.dataset import Dataset


class FittedRun(Run, keras.callbacks.History):
    """A run that code written for `keras.Model.fit` can take for the `History` that it expects.

    Attributes:
        params: what callbacks had as their `params`: verbose, epochs, steps.
    """

    def __init__(self, path: Path, *, dataset: Dataset | None, model: keras.Model, params: dict[str, Any]) -> None:
        super().__init__(path, dataset=dataset, model=model)
        self._model = model
        self.params = params

    @property
    def epoch(self) -> list[int]:
        """The numbers of the finished epochs, from 0."""
        return self.history.epoch

    @property
    def model(self) -> keras.Model:
        """The model that was trained, as in Keras's `History`. `open_run(run.path).model()` makes a new one."""
        return self._model
