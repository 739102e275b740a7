"""Ways to stop a training at a chosen place, and what must be the same when it has gone on."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence

import numpy as np

from fittingroom.api.run import Run
from fittingroom.progress import Progress
from fittingroom.runs.layout import SeedFiles


class Crash(BaseException):
    """What stands for a kill within this process: nobody catches it."""


class CrashIn(Progress):
    """Crashes at the first steps of an epoch, counted from 0."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        if epoch == self._epoch:
            raise Crash


class CtrlCIn(Progress):
    """Sends this process a signal in the middle of an epoch, once."""

    def __init__(self, epoch: int, number: int = signal.SIGINT) -> None:
        self._epoch = epoch
        self._number = number
        self._sent = False

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        if epoch == self._epoch and done >= total // 3 and not self._sent:
            self._sent = True
            os.kill(os.getpid(), self._number)


class OnlyFirst(Progress):
    """Gives the first seed a listener of its own, and the others none."""

    def __init__(self, first: Progress) -> None:
        self._first = first

    def for_seeds(self, seeds: Sequence[int]) -> Sequence[Progress]:
        return [self._first, *[Progress()] * (len(seeds) - 1)]


def assert_same_training(run: Run, whole: Run) -> None:
    """Every bit of the weights, the history and the outcomes is the same."""

    weights, expected = SeedFiles(run.path).weights.read(), SeedFiles(whole.path).weights.read()
    assert weights.keys() == expected.keys()
    for name in weights:
        np.testing.assert_array_equal(weights[name], expected[name], err_msg=name)
    assert run.history == whole.history
    assert (run.record.status, run.record.reason) == (whole.record.status, whole.record.reason)
    assert run.record.validation == whole.record.validation
    assert (run.outcomes is None) == (whole.outcomes is None)
    if run.outcomes is not None and whole.outcomes is not None:
        for name, array in whole.outcomes.arrays().items():
            np.testing.assert_array_equal(run.outcomes.arrays()[name], array, err_msg=name)
