"""`open_run`: a run from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fittingroom.api.run import Run
from fittingroom.runs.place import find_run

if TYPE_CHECKING:
    import keras


def open_run(run: str | Path = "latest", *, model: keras.Model | None = None, trust: bool = False) -> Run:
    """A run from its folder; it predicts exactly as the one that was saved.

    Args:
        run: the folder, the name of a run in the runs folder, or `latest`. One seed of a run is a run too:
            `NAME/seed-2`.
        model: the Keras model, needed only where the run's own description cannot make it again (it then says so).
        trust: whether the Python file that the model came from may be run again where that is needed. It is run only if
            it has not changed; its path and its hash are said first, as a warning of the logger `fittingroom`.

    Raises:
        UnknownNameError: there is no such run.
        RunError: the folder is damaged, or was written by a newer version.
    """
    return Run(find_run(run), model=model, trust=trust)
