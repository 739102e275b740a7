"""One training over several processes, on one host or on several, as `jax.distributed` joins them.

Every process runs the same program on the same data, so all decide alike, and a batch is shared by the devices of all
of them. Only process 0 keeps the run. What a clock or a signal decides elsewhere (how many steps a call runs, whether
to stop) is agreed on here, since processes that called different programs would wait for each other for ever.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import jax
import numpy as np

from fittingroom.engine.callbacks import StopRequest
from fittingroom.engine.programs import Programs
from fittingroom.errors import InputError, RunError

_STEPS_PER_CALL = 16
"""Steps that a call of the program runs: those that devices share take some ten milliseconds at least."""

_JOINING, _LEAVING = 300, 10
"""Seconds that a process waits for the others to come, and at its end for them to go."""

_REASONS = ("", "interrupted by Ctrl-C", "asked to end by SIGTERM")
_NETWORK = re.compile(r"gloo|nccl|coordination service|UNAVAILABLE:|DEADLINE_EXCEEDED:", re.IGNORECASE)
_ADDRESS = re.compile(r"(?P<host>[^\s,;/]+):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Hosts:
    """The processes of a training.

    Attributes:
        index: the number of this one, from 0.
        count: how many there are.
    """

    index: int
    count: int

    @property
    def leads(self) -> bool:
        """Whether this process keeps the run."""
        return self.index == 0

    @classmethod
    def joined(cls) -> Hosts | None:
        """The processes that `jax.distributed` has joined; None where this one is alone."""
        if not jax.distributed.is_initialized() or jax.process_count() == 1:
            return None
        return cls(jax.process_index(), jax.process_count())

    @classmethod
    def join(cls, coordinator: str, count: int | None, index: int | None) -> Hosts:
        """Joins this process and the others; returns when all are there.

        Args:
            coordinator: the address of process 0, as `HOST:PORT`, which all others can reach; `auto` to ask the
                scheduler (Slurm, Open MPI, Kubernetes, a Cloud TPU), as `jax.distributed.initialize` does.
            count: how many processes; None to take it from JAX_NUM_PROCESSES, or to ask the scheduler.
            index: the number of this one, from 0; None to take it from JAX_PROCESS_ID, or to ask the scheduler.

        Raises:
            InputError: something is missing or makes no sense, or not all processes came in time.
        """
        count = _from_environment("JAX_NUM_PROCESSES", "--num-processes") if count is None else count
        index = _from_environment("JAX_PROCESS_ID", "--process-id") if index is None else index
        address = None if coordinator == "auto" else coordinator
        _check(address, count, index)
        if hasattr(jax.config, "jax_enable_recoverability"):
            # Else JAX would end this process as soon as another one is gone, before it can say what to do.
            jax.config.update("jax_enable_recoverability", True)
        try:
            jax.distributed.initialize(
                address,
                count,
                index,
                initialization_timeout=_JOINING,
                shutdown_timeout_seconds=_LEAVING,
                coordinator_bind_address=None,
            )
        except (ValueError, RuntimeError, TypeError) as error:
            if address is None:
                raise InputError(
                    f"JAX finds no scheduler that says which processes belong together ({error}). Say it: "
                    "--coordinator HOST:PORT --num-processes 2 --process-id 0, and --process-id 1 on the other host."
                ) from error
            raise InputError(
                f"The processes did not join: {error}. All of them need the same --coordinator (now {coordinator}, the "
                "host of process 0, with a free port that the others can reach) and --num-processes."
            ) from error
        with _without_chatter():
            _gathered(0)
        return cls(jax.process_index(), jax.process_count())

    def check(self, seeds: Sequence[int], *, estimator: bool) -> None:
        """Raises InputError where several processes cannot share a training."""
        if estimator:
            raise InputError(
                "A classifier of scikit-learn trains in one process. Train without --coordinator, or compare several "
                "on a cluster: fittingroom benchmark --executor ray."
            )
        if len(seeds) > 1:
            raise InputError(
                f"{self.count} processes share one training, and {len(seeds)} seeds were asked for. Seeds need not "
                "wait for each other: train them as cells of an experiment, fittingroom experiment --executor ray."
            )
        counts = _gathered(jax.local_device_count())
        if len(set(counts)) > 1:
            raise InputError(
                f"The processes have different numbers of devices ({', '.join(map(str, counts))}). Give each as many: "
                "JAX_NUM_CPU_DEVICES says how many of a CPU's cores are used."
            )

    def own_folder(self) -> Path:
        """Where a process that does not lead keeps what it trained until it ends."""
        folder = Path(tempfile.mkdtemp(prefix=f"fittingroom-process-{self.index}-"))
        _FOLDERS.append(folder)
        return folder / "run"

    def leave(self) -> None:
        """Ends the work together: process 0, which the others would take for dead, goes last."""
        _remove_folders()
        with suppress(RuntimeError, ValueError):  # of the network, where the others are gone already
            if not self.leads:
                jax.distributed.shutdown()
            _gathered(0)
            if self.leads:
                jax.distributed.shutdown()

    def copied(self, folder: Path | None) -> Path:
        """The files of a stopped training's folder, which process 0 has, in a folder of each other process.

        Args:
            folder: of process 0; what the others give is not looked at.
        """
        if self.leads:
            assert folder is not None
            with tempfile.TemporaryDirectory() as temporary:
                archive = shutil.make_archive(str(Path(temporary) / "run"), "tar", folder)
                content = np.frombuffer(Path(archive).read_bytes(), np.uint8)
            _broadcast(np.int64(len(content)))
            _broadcast(content)
            return folder
        size = int(_broadcast(np.int64(0)))
        content = _broadcast(np.zeros(size, np.uint8))
        place = self.own_folder()
        packed = place.with_name("run.tar")
        packed.write_bytes(content.tobytes())
        shutil.unpack_archive(packed, place, filter="data")
        packed.unlink()
        return place

    @contextmanager
    def together(self) -> Iterator[None]:
        """Says in words when another process is gone, which JAX tells as an error of its network.

        Raises:
            RunError: another process ended, or cannot be reached.
        """
        level = _log.level
        if not self.leads:
            _log.setLevel(logging.ERROR)  # process 0 says the same
        try:
            yield
        except (RuntimeError, ValueError) as error:  # JAX and what it calls have several classes for it
            if not _NETWORK.search(str(error)):
                raise
            raise RunError(
                f"Another of the {self.count} processes ended, or cannot be reached any more, so this training stopped "
                f"({str(error).splitlines()[0][:200]}). Start all of them again with --resume: training continues from "
                "its last checkpoint."
            ) from error
        finally:
            _log.setLevel(level)

    def check_same(self, *parts: object) -> None:
        """Makes sure that all processes are about to train the same.

        Args:
            parts: what decides the training, which have the same text in all of them.

        Raises:
            InputError: one of them has another recipe, other data or another version.
        """
        sums = _gathered(zlib.crc32(repr(parts).encode()) & 0x7FFFFFFF)
        others = [number for number, each in enumerate(sums) if each != sums[0]]
        if others:
            raise InputError(
                f"Process {others[0]} trains something else than process 0: another recipe, other data, or another "
                "version of Fitting Room. Start all of them with the same command, but for --process-id."
            )


class AgreedStop(StopRequest):
    """A request to stop that all processes see at the same step, whichever of them was asked.

    Args:
        programs: what the training calls, from now on as many steps at a time in all processes.
    """

    def __init__(self, programs: Programs) -> None:
        super().__init__()
        programs.steps_per_call, programs.keeps_pace = _STEPS_PER_CALL, True
        self._programs = programs
        self._asked: str | None = None

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """As in the base; says once where the processes have nothing to share, which is known by then."""
        if self._programs.devices == 1:
            _log.warning(
                f"A step of this training is too short, or its batch has no equal parts, to be shared by "
                f"{jax.process_count()} processes, so each of them trains all of it. One process is as fast."
            )
        with super().listening() as request:
            yield request

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler of signals: notes the first one, and raises KeyboardInterrupt on the second."""
        if self._asked is not None:
            raise KeyboardInterrupt
        super().receive(number, frame)
        self._asked, self.reason = self.reason, None

    def agree(self) -> None:
        """Learns what the others were asked."""
        asked = max(_gathered(_REASONS.index(self._asked or "")))
        self.reason = _REASONS[asked] or None


_log = logging.getLogger("fittingroom")
_FOLDERS: list[Path] = []
"""Temporary ones of this process."""


@atexit.register
def _remove_folders() -> None:
    while _FOLDERS:
        shutil.rmtree(_FOLDERS.pop(), ignore_errors=True)


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Sends to standard error what a library prints when processes connect: standard output is for results."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _gathered(value: int) -> list[int]:
    """The values of all processes, in their order."""
    from jax.experimental import multihost_utils

    found = multihost_utils.process_allgather(np.int32(value))
    return [int(each) for each in np.ravel(found)]


def _broadcast(value: np.ndarray | np.generic) -> np.ndarray:
    """The value that process 0 has; all give arrays of the same shape and type."""
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.broadcast_one_to_all(value))


def _from_environment(name: str, option: str) -> int | None:
    text = os.environ.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise InputError(f"{name}={text!r}; expected a whole number. {option} says it, too.")
    return int(text)


def _check(address: str | None, count: int | None, index: int | None) -> None:
    """Raises InputError where the three do not fit together."""
    if address is not None:
        found = _ADDRESS.fullmatch(address)
        if found is None or not 0 < int(found["port"]) < 65536:
            raise InputError(
                f"--coordinator {address}: expected HOST:PORT, the host of process 0 and a free port of it, or auto."
            )
        if count is None or index is None:
            missing = "--num-processes (or JAX_NUM_PROCESSES)" if count is None else "--process-id (or JAX_PROCESS_ID)"
            raise InputError(f"--coordinator {address} needs {missing}, too.")
    if count is not None and count < 1:
        raise InputError(f"--num-processes {count}; expected 1 or more.")
    if index is not None and (index < 0 or (count is not None and index >= count)):
        raise InputError(f"--process-id {index}; expected 0 to {'the last' if count is None else count - 1}.")
    if _jax_runs():
        raise InputError("JAX runs already in this process; several processes can only be joined before.")


def _jax_runs() -> bool:
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bool(bridge is not None and bridge.backends_are_initialized())
