"""`Replicas`: what training with several seeds leaves behind, each one and all together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fittingroom.answers.predictor import Predictor
from fittingroom.api import looking
from fittingroom.api.asking import Asked
from fittingroom.api.run import Run
from fittingroom.data.dataset import Dataset
from fittingroom.evaluation.luck import ReplicasTestResult
from fittingroom.evaluation.spread import Spread
from fittingroom.runs.images import RunImages
from fittingroom.runs.replicas import ReplicasRecord, read_replicas, replica_folder, spread_of_parts

if TYPE_CHECKING:
    import keras

    from fittingroom.reports.facts.explanation import Explanation
    from fittingroom.reports.pages.document import Report

Array = np.ndarray[Any, Any]


class Replicas(Asked, Sequence[Run]):
    """Trainings of one recipe that differ in their seed. It is a sequence of runs, in the order of the seeds.

    Attributes:
        path: the folder, which holds a run folder for each replica.
    """

    def __init__(
        self, path: Path, *, dataset: Dataset | None = None, model: keras.Model | None = None, trust: bool = False
    ) -> None:
        self.path = path
        self._runs = tuple(
            Run(replica_folder(path, seed), dataset=dataset, model=model, trust=trust)
            for seed in read_replicas(path).kept
        )

    def __repr__(self) -> str:
        first = self[0].record
        return f"Replicas({str(self.path)!r}: {first.recipe['name']} on {first.data.name}, seeds {list(self.seeds)})"

    def _repr_html_(self) -> str:
        from fittingroom.reports.pages.notebook_card import run_card

        return run_card(self.path, [run.record for run in self], [run.history for run in self])

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Run]: ...
    def __getitem__(self, index: int | slice) -> Run | Sequence[Run]:
        return self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    @property
    def record(self) -> ReplicasRecord:
        """What the folder says of all replicas together; each replica has a record of its own."""
        return read_replicas(self.path)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each replica."""
        return self.record.kept

    @cached_property
    def history(self) -> dict[str, list[Spread]]:
        """The numbers of each epoch under Keras's keys: a list of spreads over the replicas that reached the epoch."""
        rows: dict[str, dict[int, list[float]]] = {}
        for run in self:
            for epoch, logs in zip(run.history.epoch, run.history.rows, strict=True):
                for name, value in logs.items():
                    rows.setdefault(name, {}).setdefault(epoch, []).append(value)
        return {name: [Spread.of(epochs[epoch]) for epoch in sorted(epochs)] for name, epochs in rows.items()}

    @property
    def train(self) -> dict[str, Spread]:
        """`loss` (nats) and `accuracy` (0 to 1) of the last epoch on the training part."""
        return spread_of_parts([run.record.train for run in self])

    @property
    def validation(self) -> dict[str, Spread] | None:
        """`loss` (nats) and `accuracy` (0 to 1) of the kept weights on the validation part; None without one."""
        return spread_of_parts([run.record.validation for run in self]) or None

    @cached_property
    def predictor(self) -> Predictor:
        """What answers: `run.predictor.load()` has all of it in memory, for a server."""
        self._share()
        data = self[0].record.data
        return Predictor(self._runs, data, self._images, folder=self.path, note_files=self.count_test_part)

    def evaluate(self, reason: str = "evaluate", *, data: str | Dataset | None = None) -> ReplicasTestResult:
        """The score of each replica on the sealed test set, and their mean and spread.

        Each replica's is a look of its own, since each can be picked from, and is recorded before it is computed. A
        replica that has its score already is told it again.

        Args:
            reason: why the test set is opened, for the record.
            data: as for `Run.evaluate`.

        Raises:
            DataError, RunError, StorageError: as for `Run.evaluate`.
        """
        if data is not None:
            self[0].use_data(data)
        self._share()
        for run in self:
            run.look(reason)
        return ReplicasTestResult(self.seeds, tuple(looking.told([(run.path, run.record) for run in self])))

    def explain(self, start: int | None = None, end: int | None = None) -> Explanation:
        """What loss and accuracy really say about the replicas: printed, it answers in words; `.facts` has all numbers.

        What is told image by image is of one replica, which is named: that with the median validation loss.

        Args:
            start: as for `Run.explain`, of that replica.
            end: as for `Run.explain`.

        Raises:
            InputError: as for `Run.explain`.
        """
        from fittingroom.reports.facts.explanation import explain

        return explain(self.path, start, end)

    @overload
    def report(self) -> Report: ...
    @overload
    def report(self, path: str | Path) -> Path: ...
    def report(self, path: str | Path | None = None) -> Report | Path:
        """A page about all replicas, as `Run.report` has it; image by image the one with the median validation loss."""
        from fittingroom.reports.pages.report_page import report_of

        page = report_of([self.path])
        return page if path is None else page.save(path)

    def count_test_part(self, files: Sequence[Path]) -> None:
        """Counts a look where files to predict have the run's own test set, labels and all, as `looking` says.

        Raises:
            StorageError: the ledger cannot be written.
        """
        looking.count_test_part([(run.path, run.record) for run in self], files)

    def _images(self) -> RunImages:
        return self[0]._images()

    def _share(self) -> None:
        """Lets all replicas use the programs and the dataset that the first one loads."""
        for run in self[1:]:
            run.share(self[0])
