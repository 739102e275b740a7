"""A process that trains one cell after the other, each in a fork of its own: `CellSlot` starts it and talks to it.

A fork begins with the libraries imported, and ends with its memory: what one cell leaves behind, or breaks, touches no
other. It is given one core, and killed at its time limit. The server ends, and its fork with it, when the process that
started it does: its standard input then ends.

Messages are pickled, and pass between these two processes alone.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import select
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from fittingroom.experiments.experiment_store import Failure
from fittingroom.experiments.packed_cell import PackedDataset, TrainedCell, train_packed
from fittingroom.recipes.recipe import Recipe
from fittingroom.text import duration

TIME_LIMIT, KILLED = "TimeLimit", "Killed"
"""The kinds of failures of cells that were ended: at their time limit, and by somebody else."""

_CHUNK = 2**20  # bytes


@dataclass(frozen=True)
class CellWork:
    """A cell to train.

    Args:
        dataset: the key of its dataset.
        recipe: the recipe.
        digest: its digest, which has the contents of a model file in it.
        seed: the seed.
    """

    dataset: str
    recipe: Recipe
    digest: str
    seed: int


@dataclass(frozen=True)
class CellTerms:
    """How cells are trained.

    Args:
        modules: imported before any cell, so that none waits for them.
        limit: seconds after which a cell is ended; None for no limit.
        trust: whether estimators of the user's own may be run.
    """

    modules: tuple[str, ...] = ()
    limit: float | None = None
    trust: bool = False


class CellSlot:
    """A core that trains cells, one at a time.

    Args:
        environment: what the server finds in its environment, besides what this process has.
        modules: imported before the first cell, so that no cell waits for them.
    """

    def __init__(self, environment: Mapping[str, str], modules: Sequence[str] = ()) -> None:
        self._environment = {**os.environ, **environment}
        self._modules = list(modules)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pipe(self) -> BinaryIO:
        """What becomes readable when the cell has ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout  # type: ignore[return-value]

    def begin(self, data: Path, work: CellWork, terms: CellTerms) -> None:
        """Begins to train a cell. The server is started with the first one, and again after it was killed.

        Args:
            data: the folder of its packed dataset.
            work: the cell.
            terms: how it is trained.
        """
        if self._process is None or self._process.poll() is not None:
            self.close()
            command = [sys.executable, "-m", "fittingroom.experiments.cell_server", *self._modules]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            # In a session of its own, so that Ctrl-C on the terminal reaches only who decides what it means.
            self._process = subprocess.Popen(command, env=self._environment, start_new_session=True, **pipes)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `result` finds that it is gone
            pickle.dump((data, work, terms), self._process.stdin)
            self._process.stdin.flush()

    def result(self) -> TrainedCell:
        """What came of the cell; waits for it."""
        try:
            found: TrainedCell = pickle.load(self.pipe)
        except (EOFError, pickle.UnpicklingError):
            return TrainedCell({}, Failure(KILLED, "the process that trains cells has died"))
        return found

    def close(self) -> None:
        """Ends the server, and the cell that it trains."""
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        if not _ends(process):
            process.kill()
        process.wait()


def _ends(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process ends by itself within some seconds."""
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return False
    return True


def _serve(modules: Sequence[str]) -> None:
    """Trains what standard input asks for, until it ends."""
    tasks, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)  # JAX has not run here
    for module in modules:
        importlib.import_module(module)
    while True:
        try:
            data, work, terms = pickle.load(tasks)
        except EOFError:
            return
        pickle.dump(_forked(data, work, terms), answers)
        answers.flush()


def _forked(data: Path, work: CellWork, terms: CellTerms) -> TrainedCell:
    """Trains a cell in a fork of this process."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        _train_and_exit(data, work, writing, trust=terms.trust)
    os.close(writing)
    received, timed_out = _received(reading, process, terms.limit)
    os.close(reading)
    _, status = os.waitpid(process, 0)
    if timed_out:
        reason = f"stopped after {duration(terms.limit or 0)}, the time limit of a cell"
        return TrainedCell({}, Failure(TIME_LIMIT, reason, again=False, limit=terms.limit))
    if status:
        return TrainedCell({}, Failure(KILLED, _why(status)))
    found: TrainedCell = pickle.loads(received)
    return found


def _received(reading: int, process: int, limit: float | None) -> tuple[bytes, bool]:
    """What a fork has written when it ended, and whether it was killed at its time limit."""
    ends, chunks = None if limit is None else time.monotonic() + limit, list[bytes]()
    while True:
        left = None if ends is None else max(ends - time.monotonic(), 0)
        ready, _, _ = select.select([reading, sys.stdin.fileno()], [], [], left)
        if not ready:
            os.killpg(process, signal.SIGKILL)
            return b"", True
        if reading in ready:
            chunk = os.read(reading, _CHUNK)
            if not chunk:
                return b"".join(chunks), False
            chunks.append(chunk)
        else:  # nothing is asked for while a cell is trained: whoever asked is gone
            os.killpg(process, signal.SIGKILL)
            os._exit(1)


def _train_and_exit(data: Path, work: CellWork, writing: int, *, trust: bool) -> NoReturn:
    """Trains a cell in this process, writes what came of it, and ends the process."""
    status = 1
    try:
        os.setpgid(0, 0)  # with it, whatever it starts is killed
        packed = PackedDataset.mapped(data)
        content = pickle.dumps(train_packed(packed, work.recipe, work.digest, (work.seed,), trust=trust))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(content)
        status = 0
    finally:
        os._exit(status)


def _why(status: int) -> str:
    """Why a fork has ended."""
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return f"its process was ended by {name}; perhaps the machine ran out of memory"
    return f"its process ended with status {os.waitstatus_to_exitcode(status)}"


if __name__ == "__main__":
    _serve(sys.argv[1:])
