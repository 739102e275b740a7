"""Cells of several datasets, trained side by side: on the cores of this machine, or on those of a Ray cluster.

Each cell gets one core, and a process that has trained nothing before (`cell_server.py`), on this machine as on any
other: so its bits are the same wherever it is trained, and its memory is its own.
"""

from __future__ import annotations

import os
import selectors
import sys
import tempfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from fittingroom.data.dataset import Dataset
from fittingroom.experiments.cell_server import KILLED, CellSlot, CellTerms, CellWork
from fittingroom.experiments.executor import own_cores, ray_connection, worker_environment
from fittingroom.experiments.experiment_store import Failure
from fittingroom.experiments.packed_cell import PackedDataset, TrainedCell

_SECONDS_BETWEEN_LOOKS = 0.2
_MOST_RETRIES = 3  # of a cell whose Ray worker was killed

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class CellPool(ABC):
    """Trains cells, each on one core. A context: at its end, what still trains is given up.

    Args:
        datasets: key -> dataset.
        terms: how they are trained.
    """

    def __init__(self, datasets: Mapping[str, Dataset], terms: CellTerms) -> None:
        self._datasets, self._terms = datasets, terms
        self._waiting: deque[CellWork] = deque()

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *error: object) -> None: ...

    def submit(self, work: CellWork) -> None:
        """Puts a cell behind those that wait; also while `ended` is iterated."""
        self._waiting.append(work)

    @property
    @abstractmethod
    def cores(self) -> int:
        """How many cells it trains at once."""

    @property
    @abstractmethod
    def running(self) -> tuple[CellWork, ...]:
        """The cells that train now, as far as it is known."""

    @abstractmethod
    def ended(self) -> Iterator[tuple[CellWork, TrainedCell] | None]:
        """Each cell when it has ended, until none is left; None now and then, while nothing happens."""


class LocalPool(CellPool):
    """The cores of this machine.

    Args:
        workers: how many cells to train at once; None for one on each core.
    """

    def __init__(self, datasets: Mapping[str, Dataset], terms: CellTerms, workers: int | None = None) -> None:
        super().__init__(datasets, terms)
        # What this process can import, such as a user's own estimator, the server can.
        found = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._slots = [_slot(terms, found) for _ in range(workers or own_cores())]
        self._busy: dict[CellSlot, CellWork] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="fittingroom-benchmark-")))
        self._packed: dict[str, Path] = {}
        for slot in self._slots:
            self._stack.callback(slot.close)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def cores(self) -> int:
        """One for each slot."""
        return len(self._slots)

    @property
    def running(self) -> tuple[CellWork, ...]:
        """Those in the slots."""
        return tuple(self._busy.values())

    def ended(self) -> Iterator[tuple[CellWork, TrainedCell] | None]:
        """Gives each free slot a cell, and waits for any of them."""
        while self._waiting or self._busy:
            for slot in self._slots:
                if slot not in self._busy and self._waiting:
                    self._begin(slot, self._waiting.popleft())
            with selectors.DefaultSelector() as selector:
                for slot in self._busy:
                    selector.register(slot.pipe, selectors.EVENT_READ, slot)
                ready = [key.data for key, _ in selector.select(_SECONDS_BETWEEN_LOOKS)]
            if not ready:
                yield None
            for slot in ready:
                yield self._busy.pop(slot), slot.result()

    def _begin(self, slot: CellSlot, work: CellWork) -> None:
        if work.dataset not in self._packed:
            place = self._folder / str(len(self._packed))
            PackedDataset.of(self._datasets[work.dataset]).save(place)
            self._packed[work.dataset] = place
        slot.begin(self._packed[work.dataset], work, self._terms)
        self._busy[slot] = work


class RayPool(CellPool):
    """The cores of a Ray cluster.

    Args:
        address: as `executor.RayExecutor` takes it.
    """

    def __init__(self, datasets: Mapping[str, Dataset], terms: CellTerms, address: str | None = None) -> None:
        super().__init__(datasets, terms)
        self._address = address
        self._stack = ExitStack()
        self._given: dict[Any, CellWork] = {}
        self._packed: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._ray = self._stack.enter_context(ray_connection(self._address))
        self._task = self._ray.remote(num_cpus=1, max_retries=_MOST_RETRIES)(_train_on_worker)
        return self

    def __exit__(self, *error: object) -> None:
        for reference in self._given:
            self._ray.cancel(reference, force=True)
        self._stack.close()

    @property
    def cores(self) -> int:
        """Those of the cluster now."""
        return int(self._ray.cluster_resources().get("CPU", 0))

    @property
    def running(self) -> tuple[CellWork, ...]:
        """As many as the cluster has cores: Ray tells no more."""
        return tuple(self._given.values())[: self.cores] if self._given else ()

    def ended(self) -> Iterator[tuple[CellWork, TrainedCell] | None]:
        """Gives all cells to Ray, and waits for any of them."""
        while self._waiting or self._given:
            while self._waiting:
                self._give(self._waiting.popleft())
            ready, _ = self._ray.wait(list(self._given), num_returns=1, timeout=_SECONDS_BETWEEN_LOOKS)
            if not ready:
                yield None
            for reference in ready:
                yield self._given.pop(reference), self._result(reference)

    def _give(self, work: CellWork) -> None:
        if work.dataset not in self._packed:
            self._packed[work.dataset] = self._ray.put(PackedDataset.of(self._datasets[work.dataset]))
        data = self._packed[work.dataset]
        reference = self._task.remote(data, work, self._terms)
        self._given[reference] = work

    def _result(self, reference: Any) -> TrainedCell:
        try:
            found: TrainedCell = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:  # its workers were killed again and again, or lack the package
            return TrainedCell({}, Failure(KILLED, str(error).strip().splitlines()[-1]))
        return found


def _slot(terms: CellTerms, environment: Mapping[str, str]) -> CellSlot:
    return CellSlot({**worker_environment(), **_ONE_THREAD, **environment}, terms.modules)


def _train_on_worker(data: PackedDataset, work: CellWork, terms: CellTerms) -> TrainedCell:
    """Trains a cell on a worker of Ray, in the same kind of process as on this machine."""
    with tempfile.TemporaryDirectory(prefix="fittingroom-worker-") as place, ExitStack() as stack:
        packed = Path(place) / "data"
        data.save(packed)
        slot = _slot(terms, {})
        stack.callback(slot.close)
        slot.begin(packed, work, terms)
        return slot.result()
