"""Memory that is free is given back to the system.

A training allocates arrays and compiled programs of many sizes. The C library keeps what is freed for later, in pieces
that the next recipe's arrays do not fit into, so that a process grows with each recipe that it trains.

The local executor: one recipe after the other in this process, its replicas side by side on the cores.

The engine spreads replicas over cores or accelerators (`engine/lanes.py`), so that no two trainings compete for one.

Training what is missing of an experiment, through whatever trains: an executor.

An executor takes batches of cells and yields each when it has ended. `local.py` has the one that trains in this
process, `cluster.py` the one that hands cells to Ray.
"""

from __future__ import annotations

import ctypes
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Protocol

from fittingroom.api.resuming import resume
from fittingroom.api.training import train
from fittingroom.data.dataset import Dataset
from fittingroom.errors import InputError, StorageError, UnknownNameError
from fittingroom.experiments.experiment_progress import ExperimentProgress
from fittingroom.experiments.experiment_store import Batch, CellState, ExperimentFolder, Failure
from fittingroom.experiments.plan import Plan
from fittingroom.progress import Progress


def give_back_free_memory() -> None:
    """Lets glibc return what is free; elsewhere it does nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class LocalExecutor:
    """Trains in this process; all missing cells of a recipe are a batch."""

    together: int | None = None

    def train(
        self, folder: ExperimentFolder, batches: Sequence[Batch], dataset: Dataset, progress: ExperimentProgress
    ) -> Generator[Ended]:
        """Trains the batches in their order.

        Raises:
            StorageError: something cannot be written, which would hit all others too.
            Interrupted: Ctrl-C or SIGTERM; the cell that was trained can go on.
        """
        del folder  # trainings write their folders themselves
        for batch in batches:
            failure = None
            try:
                _train(batch, dataset, progress.training(batch.variant.name, len(batch.seeds)))
            except StorageError:
                raise
            except Exception as error:  # a model of the user's, or a device without memory, may raise anything
                failure = Failure.of(error)
            give_back_free_memory()
            yield batch, failure


def _train(batch: Batch, dataset: Dataset, progress: Progress) -> None:
    if batch.begun:
        # The recipe's digest has the contents of a model file in it: this is the file that the user has just named.
        resume(batch.folder, trust=True, progress=progress)
    else:
        train(dataset, batch.variant.recipe, seeds=batch.seeds, out=batch.folder, progress=progress)


EXECUTORS = ("local", "ray")

Ended = tuple[Batch, Failure | None]
"""A batch that has ended, and why it has failed if it has."""


class Executor(Protocol):
    """What trains.

    Attributes:
        together: how many cells of a recipe it takes as one batch; None for all.
    """

    together: int | None

    def train(
        self, folder: ExperimentFolder, batches: Sequence[Batch], dataset: Dataset, progress: ExperimentProgress
    ) -> Generator[Ended]:
        """Trains the batches into their folders and yields each when it has ended, in any order."""
        ...


def find_executor(name: str, address: str | None = None) -> Executor:
    """The executor with a name.

    Args:
        name: `local` or `ray`.
        address: of a Ray cluster; None for the one that Ray's own settings name, else one of this machine's cores.

    Raises:
        InputError: there is none with this name, it is not installed, or it has no use for an address.
    """
    if name not in EXECUTORS:
        raise UnknownNameError("executor", name, EXECUTORS)
    if name == "ray":
        from fittingroom.experiments.cluster import RayExecutor

        return RayExecutor(address)
    if address is not None:
        raise InputError(f"address {address!r} with the executor {name!r}: it is for the executor 'ray'.")

    return LocalExecutor()


def train_missing(
    folder: ExperimentFolder, plan: Plan, dataset: Dataset, progress: ExperimentProgress, executor: Executor
) -> None:
    """Trains every cell that is not trained yet. One that fails is recorded with its reason, and the others go on.

    Args:
        folder: of the experiment.
        plan: what it is to hold.
        dataset: what the plan is about.
        progress: is told of the progress.
        executor: trains.

    Raises:
        InputError: the executor cannot be reached.
        StorageError: something cannot be written, which would hit all others too.
        Interrupted: Ctrl-C or SIGTERM; the cell that was trained can go on.
        RunError: a file of the experiment is damaged.
    """
    batches = [batch for variant in plan.variants for batch in folder.work(variant, executor.together)]
    for batch in batches:
        folder.forget_failures(batch)
    states: dict[str, list[CellState]] = {variant.digest: folder.states(variant) for variant in plan.variants}
    progress.state([state for each in states.values() for state in each])
    if not batches:
        return
    with closing(executor.train(folder, batches, dataset, progress)) as ended:
        for batch, failure in ended:
            if failure is not None:
                folder.fail(batch, failure)
            states[batch.variant.digest] = folder.states(batch.variant)
            progress.state([state for each in states.values() for state in each])
