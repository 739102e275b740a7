"""Training what is missing of an experiment: in this process, or through another executor that trains in its place.

An executor takes batches of cells and yields each when it has ended. The one for Ray gives cells to the cores of a
cluster, or of this machine. Each cell takes one core, and trains on it as it would alone, so that its bits are the
same wherever it is trained. Ray trains a cell again whose worker was killed. Data go to the workers as arrays, and runs
come back as bytes, so that the machines need no common file system: a worker reads nothing from its disk but a model
file that the recipe names.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import re
import signal
import socket
import threading
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from fittingroom.api.train import resume, train
from fittingroom.data.dataset import Dataset
from fittingroom.engine.callbacks import StopRequest
from fittingroom.errors import InputError, StorageError
from fittingroom.experiments.experiment_progress import ExperimentProgress
from fittingroom.experiments.experiment_store import Batch, CellState, ExperimentFolder, Failure
from fittingroom.experiments.packed_cell import PackedDataset, TrainedCell, train_packed
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


INSTALL = "pip install 'fittingroom[ray]'"

# How often a cell is trained again whose worker was killed, before it counts as failed.
_MOST_RETRIES = 3
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_CONNECT = 10


class RayExecutor(Executor):
    """Hands cells to Ray.

    Args:
        address: the address of the cluster, as `ray.init` takes it; None for the one in RAY_ADDRESS, else this
            machine's cores.

    Raises:
        InputError: Ray is not installed.
    """

    together = 1  # a cell takes one core

    def __init__(self, address: str | None = None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise InputError(f"the executor 'ray' needs Ray, which is not installed. Install it: {INSTALL}.")
        self._address = address

    def train(
        self, folder: ExperimentFolder, batches: Sequence[Batch], dataset: Dataset, progress: ExperimentProgress
    ) -> Generator[Ended]:
        """Resumes stopped trainings in this process, where their checkpoints are, and trains all others on the cluster.

        Raises:
            InputError: there is no cluster at the address.
            StorageError: a run cannot be written here.
            KeyboardInterrupt: Ctrl-C or SIGTERM; cells that train on the cluster are given up.
        """
        yield from super().train(folder, [batch for batch in batches if batch.begun], dataset, progress)
        new = [batch for batch in batches if not batch.begun]
        if new:
            with ray_connection(self._address) as ray:
                yield from _trained_by_ray(ray, folder, new, dataset, progress)


def _trained_by_ray(
    ray: Any, folder: ExperimentFolder, batches: Sequence[Batch], dataset: Dataset, progress: ExperimentProgress
) -> Generator[Ended]:
    # A core for each cell: all seeds of a recipe as one task would leave machines idle where recipes are few.
    task = ray.remote(num_cpus=1, max_retries=_MOST_RETRIES, runtime_env={"env_vars": dict(worker_environment())})(
        train_packed
    )
    data = ray.put(PackedDataset.of(dataset))
    waiting = {task.remote(data, batch.variant.recipe, batch.variant.digest, batch.seeds): batch for batch in batches}
    cores = int(ray.cluster_resources().get("CPU", 0))
    try:
        with StopRequest().listening() as request:
            while waiting:
                progress.training(f"{len(waiting)} cells left for {cores} cores of a Ray cluster", 0).stage("")
                ready: list[Any] = []
                while not ready:
                    ready, _ = ray.wait(list(waiting), num_returns=1, timeout=_SECONDS_BETWEEN_LOOKS)
                    if request:
                        raise KeyboardInterrupt(request.reason)
                yield _ended(ray, folder, ready[0], waiting.pop(ready[0]))
    finally:
        for reference in waiting:
            ray.cancel(reference, force=True)


def _ended(ray: Any, folder: ExperimentFolder, reference: Any, batch: Batch) -> Ended:
    """A batch that has ended, after its run is written here."""
    try:
        trained: TrainedCell = ray.get(reference)
    except ray.exceptions.RayError as error:  # its workers were killed again and again, or cannot import what they need
        return batch, Failure(type(error).__name__, str(error).strip().splitlines()[-1])
    if trained.files:
        folder.receive(batch, trained.files)
    return batch, trained.failure


def worker_environment() -> Mapping[str, str]:
    """What workers find in their environment: one core each, and XLA's settings as they are here."""
    # JAX shows a worker one device: seeds that shared cores would round sums otherwise than alone.
    flags = re.sub(r"--xla_force_host_platform_device_count=\S*", "", os.environ.get("XLA_FLAGS", "")).strip()
    return {"JAX_NUM_CPU_DEVICES": "1", "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax", "XLA_FLAGS": flags}


def own_cores() -> int:
    """How many cores this process may train on, which `fittingroom/__init__.py` has told JAX."""
    return int(os.environ.get("JAX_NUM_CPU_DEVICES") or os.cpu_count() or 1)


@contextmanager
def ray_connection(address: str | None) -> Iterator[Any]:
    """Ray, connected for as long as a `with` block lasts; a connection that the program has made is used and left."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray would send figures about its use to its makers
    import ray

    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    _check_answers(address)
    handler = signal.getsignal(signal.SIGTERM)  # Ray puts its own in its place
    own: dict[str, Any] = {"num_cpus": own_cores(), "include_dashboard": False} if address == "local" else {}
    try:
        with warnings.catch_warnings():
            # JAX warns of any fork; those here become another program at once.
            warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"no Ray cluster answers at {address!r}: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _check_answers(address: str) -> None:
    """Raises InputError where nobody listens at HOST:PORT; Ray itself would try for many minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"no Ray cluster answers at {address!r}: {error}. Expected HOST:PORT of its head node, ray://HOST:PORT, "
            "auto for a cluster that this machine is part of, or nothing for this machine's cores."
        ) from error
