"""The executor for Ray: cells go one by one to the cores of a cluster, or of this machine.

Each cell takes one core, and trains on it as it would alone, so that its bits are the same wherever it is trained. Ray
trains a cell again whose worker was killed. Runs come back as bytes, so that the machines need no common file system.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import signal
import socket
import threading
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fittingroom.data.dataset import Dataset
from fittingroom.engine.interrupt import stop_requests
from fittingroom.errors import InputError
from fittingroom.experiments.executing import Ended
from fittingroom.experiments.live import Watcher
from fittingroom.experiments.local import LocalExecutor
from fittingroom.experiments.store import Batch, ExperimentFolder, Failure
from fittingroom.experiments.worker import PackedDataset, TrainedCell, train_cells

INSTALL = "pip install 'fittingroom[ray]'"

# How often a cell is trained again whose worker was killed, before it counts as failed.
MOST_RETRIES = 3
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_CONNECT = 10


class RayExecutor:
    """Hands cells to Ray.

    Args:
        address: of the cluster, as `ray.init` takes it; None for the one in RAY_ADDRESS, else this machine's cores.

    Raises:
        InputError: Ray is not installed.
    """

    together: int | None = 1

    def __init__(self, address: str | None = None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise InputError(f"the executor 'ray' needs Ray, which is not installed. Install it: {INSTALL}.")
        self._address = address

    def train(
        self, folder: ExperimentFolder, batches: Sequence[Batch], dataset: Dataset, watcher: Watcher
    ) -> Generator[Ended]:
        """Trains what was stopped before in this process, where its checkpoints are, and all else on the cluster.

        Raises:
            InputError: there is no cluster at the address.
            StorageError: a run cannot be written here.
            KeyboardInterrupt: Ctrl-C or SIGTERM; cells that are on their way are given up.
        """
        yield from LocalExecutor().train(folder, [batch for batch in batches if batch.begun], dataset, watcher)
        new = [batch for batch in batches if not batch.begun]
        if new:
            with _connected(self._address) as ray:
                yield from _train(ray, folder, new, dataset, watcher)


def _train(
    ray: Any, folder: ExperimentFolder, batches: Sequence[Batch], dataset: Dataset, watcher: Watcher
) -> Generator[Ended]:
    task = ray.remote(num_cpus=1, max_retries=MOST_RETRIES, runtime_env={"env_vars": dict(worker_environment())})(
        train_cells
    )
    data = ray.put(PackedDataset.of(dataset))
    waiting = {task.remote(data, batch.variant.recipe, batch.variant.digest, batch.seeds): batch for batch in batches}
    cores = int(ray.cluster_resources().get("CPU", 0))
    try:
        with stop_requests() as request:
            while waiting:
                watcher.training(f"{len(waiting)} cells left for {cores} cores of a Ray cluster", 0).stage("")
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
    """A batch that has ended; its run is brought here."""
    try:
        trained: TrainedCell = ray.get(reference)
    except ray.exceptions.RayError as error:  # its workers were killed again and again, or cannot import what they need
        return batch, Failure(type(error).__name__, str(error).strip().splitlines()[-1])
    if trained.files:
        folder.receive(batch, trained.files)
    return batch, trained.failure


def worker_environment() -> Mapping[str, str]:
    """What workers find in their environment: one core each, and XLA's settings as they are here."""
    flags = re.sub(r"--xla_force_host_platform_device_count=\S*", "", os.environ.get("XLA_FLAGS", "")).strip()
    return {"JAX_NUM_CPU_DEVICES": "1", "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax", "XLA_FLAGS": flags}


def _own_cores() -> int:
    """How many cores this process may train on, which `fittingroom/__init__.py` has told JAX."""
    return int(os.environ.get("JAX_NUM_CPU_DEVICES") or os.cpu_count() or 1)


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Ray, connected for as long as a `with` block lasts; a connection that the program has made is used and left."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    _check_answers(address)
    handler = signal.getsignal(signal.SIGTERM)  # Ray puts its own in its place
    own: dict[str, Any] = {"num_cpus": _own_cores(), "include_dashboard": False} if address == "local" else {}
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
