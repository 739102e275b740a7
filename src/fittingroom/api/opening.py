"""Runs from their folders, those of one replica and those of several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fittingroom.api.replicas import Replicas
from fittingroom.api.run import Run
from fittingroom.errors import RunError
from fittingroom.runs.place import find_run, holds_replicas

if TYPE_CHECKING:
    import keras


def open_run(run: str | Path = "latest", *, model: keras.Model | None = None, trust: bool = False) -> Run:
    """A run from its folder; it predicts exactly as the one that was saved.

    Args:
        run: the folder, the name of a run in the runs folder, or `latest`. A replica of a run with several seeds is a
            run too: `NAME/seed-2`.
        model: the Keras model, needed only where the run's own description cannot make it again (it then says so).
        trust: whether the Python file that the model came from may be run again where that is needed. It is run only if
            it has not changed; its path and its hash are said first, as a warning of the logger `fittingroom`.

    Raises:
        UnknownNameError: there is no such run.
        RunError: the folder is damaged, was written by a newer version, or holds several replicas.
    """
    path = find_run(run)
    if holds_replicas(path):
        raise RunError(
            f"{path} holds several replicas. fittingroom.open_replicas opens all of them, and "
            f"open_run('{path / 'seed-...'}') the one with that seed."
        )
    return Run(path, model=model, trust=trust)


def open_replicas(run: str | Path = "latest", *, model: keras.Model | None = None, trust: bool = False) -> Replicas:
    """The replicas of a run that was trained with several seeds, from its folder.

    Args:
        run: the folder, the name of a run in the runs folder, or `latest`.
        model: as for `open_run`.
        trust: as for `open_run`.

    Raises:
        UnknownNameError: there is no such run.
        RunError: the folder is damaged, was written by a newer version, or holds a single replica.
    """
    path = find_run(run)
    if not holds_replicas(path):
        raise RunError(f"{path} holds a single replica. fittingroom.open_run opens it.")
    return Replicas(path, model=model, trust=trust)
