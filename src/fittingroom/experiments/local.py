"""The local executor: one recipe after the other in this process, its replicas side by side on the cores.

The engine spreads replicas over cores or accelerators (`engine/replicas.py`), so that no two trainings compete for one.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from fittingroom.api.resuming import resume
from fittingroom.api.training import train
from fittingroom.data.dataset import Dataset
from fittingroom.errors import StorageError
from fittingroom.experiments.executing import Ended
from fittingroom.experiments.live import Watcher
from fittingroom.experiments.memory import give_back_free_memory
from fittingroom.experiments.store import Batch, ExperimentFolder, Failure
from fittingroom.progress import Progress


class LocalExecutor:
    """Trains in this process; all missing cells of a recipe are a batch."""

    together: int | None = None

    def train(
        self, folder: ExperimentFolder, batches: Sequence[Batch], dataset: Dataset, watcher: Watcher
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
                _train(batch, dataset, watcher.training(batch.variant.name, len(batch.seeds)))
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
