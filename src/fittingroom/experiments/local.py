"""The local executor: one recipe after the other in this process, its replicas side by side on the cores.

The engine spreads replicas over cores or accelerators (`engine/replicas.py`), so that no two trainings compete for one.
"""

from __future__ import annotations

from fittingroom.api.resuming import resume
from fittingroom.api.training import train
from fittingroom.data.dataset import Dataset
from fittingroom.errors import StorageError
from fittingroom.experiments.live import Watcher
from fittingroom.experiments.plan import Plan
from fittingroom.experiments.store import Batch, CellState, ExperimentFolder
from fittingroom.progress import Progress


def train_missing(folder: ExperimentFolder, plan: Plan, dataset: Dataset, watcher: Watcher) -> None:
    """Trains every cell that is not trained yet. One that fails is recorded with its reason, and the others go on.

    Args:
        folder: of the experiment.
        plan: what it is to hold.
        dataset: what the plan is about.
        watcher: is told what is going on.

    Raises:
        StorageError: something cannot be written, which would hit all others too.
        Interrupted: Ctrl-C or SIGTERM; the cell that was trained can go on.
        RunError: a file of the experiment is damaged.
    """
    states: dict[str, list[CellState]] = {variant.digest: folder.states(variant) for variant in plan.variants}
    watcher.state([state for each in states.values() for state in each])
    for variant in plan.variants:
        for batch in folder.work(variant):
            folder.forget_failures(batch)
            try:
                _train(batch, dataset, watcher.training(variant.name, len(batch.seeds)))
            except StorageError:
                raise
            except Exception as error:  # a model of the user's, or a device without memory, may raise anything
                folder.fail(batch, error)
            states[variant.digest] = folder.states(variant)
            watcher.state([state for each in states.values() for state in each])


def _train(batch: Batch, dataset: Dataset, progress: Progress) -> None:
    if batch.begun:
        # The recipe's digest has the contents of a model file in it: this is the file that the user has just named.
        resume(batch.folder, trust=True, progress=progress)
    else:
        train(dataset, batch.variant.recipe, seeds=batch.seeds, out=batch.folder, progress=progress)
