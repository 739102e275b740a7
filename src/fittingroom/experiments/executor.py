"""Training what is missing of an experiment: in this process, or through another executor that trains in its place.

An executor takes batches of cells and yields each when it has ended; `cluster` has the one for Ray.
"""

from __future__ import annotations

import ctypes
from collections.abc import Generator, Sequence
from contextlib import closing

from fittingroom.api.train import resume, train
from fittingroom.data.dataset import Dataset
from fittingroom.errors import StorageError
from fittingroom.experiments.experiment_progress import ExperimentProgress
from fittingroom.experiments.experiment_store import Batch, CellState, ExperimentFolder, Failure
from fittingroom.experiments.plan import ExperimentPlan
from fittingroom.progress import Progress

Ended = tuple[Batch, Failure | None]
"""A batch that has ended, and why it failed if it did."""


class Executor:
    """Trains in this process: one recipe after the other, its seeds side by side.

    The engine spreads seeds over cores or accelerators (`engine.programs`), so that no two trainings compete for one.

    Attributes:
        together: how many cells of a recipe are a batch at most; None for all of them.
    """

    together: int | None = None

    def train(
        self, folder: ExperimentFolder, batches: Sequence[Batch], dataset: Dataset, progress: ExperimentProgress
    ) -> Generator[Ended]:
        """Trains the batches into their folders, and yields each when it has ended.

        Raises:
            StorageError: something cannot be written, which would hit all other batches too.
            Interrupted: Ctrl-C or SIGTERM; the batch that was training can be resumed.
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
            give_back_free_memory()  # 637 MB at most in place of 973, over the recipes of one experiment
            yield batch, failure


def train_missing(
    folder: ExperimentFolder, plan: ExperimentPlan, dataset: Dataset, progress: ExperimentProgress, executor: Executor
) -> None:
    """Trains every cell that is not trained yet. One that fails is recorded with its reason, and the others continue.

    Args:
        folder: the folder of the experiment.
        plan: the cells that the experiment is to have.
        dataset: the plan's dataset.
        progress: shows how far the training is.
        executor: trains the batches.

    Raises:
        InputError: the executor cannot be reached.
        StorageError: something cannot be written, which would hit all other cells too.
        Interrupted: Ctrl-C or SIGTERM; the cell that was training can be resumed.
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


def give_back_free_memory() -> None:
    """Lets glibc return free memory to the system; elsewhere it does nothing.

    A training allocates arrays and compiled programs of many sizes. The C library keeps what is freed, in pieces that
    the next recipe's arrays do not fit into, so that without this a process grows with each recipe that it trains.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _train(batch: Batch, dataset: Dataset, progress: Progress) -> None:
    if batch.begun:
        # The recipe's digest has the contents of a model file in it: this is the file that the user has just named.
        resume(batch.folder, trust=True, progress=progress)
    else:
        train(dataset, batch.variant.recipe, seeds=batch.seeds, out=batch.folder, progress=progress)
