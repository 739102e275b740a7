"""The final scores of a benchmark: each test part is opened once, for all methods that are done with all seeds.

All seeds of a method are one look, since none of them can be picked for its score; methods can be, and each is one.
Which images a method had right is kept before its score counts, so that no test part is opened again for it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fittingroom.api.openings import recorded
from fittingroom.api.run import Run
from fittingroom.atomic import storage_errors, write_bytes
from fittingroom.data.dataset import Dataset, Part
from fittingroom.evaluation.scores import Scores
from fittingroom.experiments.benchmark_methods import BenchmarkTask
from fittingroom.experiments.experiment_store import CellState

_REASON = "the final scores of a benchmark, for all its methods"


class _FinalRun(Run):
    """A run that keeps which test images it has right.

    Args:
        path: the folder of a seed.
        dataset: its dataset.
        kept: the file to keep it in.
        trust: whether an estimator of the user's own may be run.
    """

    def __init__(self, path: Path, dataset: Dataset, kept: Path, *, trust: bool) -> None:
        super().__init__(path, dataset=dataset, trust=trust)
        self._kept = kept

    def score(self, part: Part) -> Scores:
        """Its scores on images."""
        logs = self._model_of_seed.log_probabilities(part.images)
        predicted = logs.argmax(axis=1)
        stream = io.BytesIO()
        np.save(stream, predicted == part.labels, allow_pickle=False)
        with storage_errors(self._kept):
            self._kept.parent.mkdir(exist_ok=True)
        write_bytes(self._kept, stream.getvalue())
        return Scores.of(part.labels, predicted, -logs[np.arange(len(part)), part.labels], part.classes)


def open_test_parts(tasks: Sequence[BenchmarkTask], *, trust: bool) -> None:
    """Scores every method that is done with all seeds on the test part of each dataset.

    Raises:
        RunError: a run is damaged.
        StorageError: a look cannot be recorded; the test part then stays closed.
    """
    for task in tasks:
        for method in task.methods:
            variant = task.chosen(method)
            states = [task.state(variant, seed) for seed in method.seeds]
            if any(state.status != "done" for state in states):
                continue
            together = f"{task.folder.path.resolve()} {variant.digest}"
            first: Run | None = None
            for state in states:
                run = _run(task, state, trust=trust)
                if first is not None:
                    run.share(first)
                first = first or run
                run.look(_REASON, together)
                if not task.test_file(state).is_file():  # somebody had scored it before
                    run.score(recorded(task.dataset, run.path).test.open(_REASON))
        task.read()


def _run(task: BenchmarkTask, state: CellState, *, trust: bool) -> _FinalRun:
    assert state.folder is not None  # it is done
    return _FinalRun(state.folder, task.dataset, task.test_file(state), trust=trust)
