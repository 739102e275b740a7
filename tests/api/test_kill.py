"""Trainings that are killed, and that come to an end they did not plan."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import fittingroom as fr
from fittingroom.api.run import Run
from fittingroom.engine import snapshots
from fittingroom.errors import RunError, StorageError
from fittingroom.progress import Progress
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.checkpoints import Checkpoints
from fittingroom.runs.place import is_unfinished
from fittingroom.runs.unfinished import RunLock, UnfinishedRecord
from tests.api.stopping import assert_same_training

RECIPE = Recipe(name="killed", hidden=(8,), dropout=0.1, epochs=400)
PROGRAM = f"""
import sys
import fittingroom as fr
from fittingroom.recipes.recipe import Recipe
fr.train("digits", {RECIPE!r}, seed=1, out=sys.argv[1])
"""
AT_ONCE = 2  # of more, the last come to their end before their turn


def started(folder: Path) -> subprocess.Popen[bytes]:
    """A process that trains in a folder."""
    return subprocess.Popen([sys.executable, "-c", PROGRAM, folder], stderr=subprocess.PIPE)


def wait_for(condition: object, process: subprocess.Popen[bytes]) -> None:
    """Waits until a process has got somewhere."""
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def a_checkpoint_of_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although an epoch takes no longer than a checkpoint; not in the other processes."""
    monkeypatch.setattr(snapshots, "TRAINING_PER_SAVING", 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of a training that nobody stopped. It leaves its programs in the cache for the other processes."""
    return fr.train("digits", RECIPE, seed=1, out=tmp_path_factory.mktemp("whole") / "run")


def kill_some(folder: Path, count: int, chance: random.Random) -> list[Path]:
    """Begins so many trainings and kills each at a moment of its own while it trains; gives their folders."""
    folders = [folder / str(number) for number in range(count)]
    processes = [started(path) for path in folders]
    for path, process in zip(folders, processes, strict=True):
        while not is_unfinished(path) and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        process.communicate()
    return [path for path in folders if is_unfinished(path)]  # the others had come to their end


def check_kills(tmp_path: Path, whole: Run, kills: int, resumed: int) -> None:
    """Kills trainings and checks that each can go on; goes on with some of them to the very end."""
    chance, killed = random.Random(kills), 0
    while killed < kills:
        folders = kill_some(tmp_path / str(killed), AT_ONCE, chance)
        for path in folders:
            assert UnfinishedRecord.read(path).seeds == (1,)
            checkpoints = Checkpoints(path / "seed-1")
            if checkpoints.exist():
                _, notes = checkpoints.read()
                assert notes == ()
            if killed < resumed:
                assert_same_training(fr.resume(path), whole)
            killed += 1


def test_a_training_killed_at_any_moment_continues(tmp_path: Path, whole: Run) -> None:
    check_kills(tmp_path, whole, kills=4, resumed=2)


@pytest.mark.slow
def test_two_hundred_trainings_killed_at_any_moment_continue(tmp_path: Path, whole: Run) -> None:
    check_kills(tmp_path, whole, kills=200, resumed=200)


def test_another_process_learns_who_trains_and_a_dead_one_holds_nothing(tmp_path: Path, whole: Run) -> None:
    path = tmp_path / "run"
    process = started(path)
    wait_for(lambda: Checkpoints(path / "seed-1").exist(), process)
    with pytest.raises(RunError, match=rf"is being trained by process {process.pid} on .*, since 20"):
        fr.resume(path)
    process.kill()
    process.communicate()
    assert (path / "lock").exists()
    assert RunLock.holder(path) is None
    assert_same_training(fr.resume(path), whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_training_with_a_checkpoint_and_what_is_finished(
    tmp_path: Path, whole: Run, number: signal.Signals
) -> None:
    path = tmp_path / "run"
    process = started(path)
    wait_for(lambda: Checkpoints(path / "seed-1").exist(), process)
    process.send_signal(number)
    error = process.communicate(timeout=60)[1].decode()
    assert "Resume it with" in error
    assert RunLock.holder(path) is None
    assert fr.open_run(path).record.status == "interrupted"
    assert_same_training(fr.resume(path), whole)


class FullDisk(Progress):
    """After an epoch, counted from 0, no file of this process may grow beyond a kilobyte, as if the disk were full."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        if epoch == self._epoch:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))


def test_a_disk_that_gets_full_stops_training_with_the_reason_and_the_last_good_state(
    tmp_path: Path, whole: Run
) -> None:
    path = tmp_path / "run"
    try:
        with pytest.raises(StorageError, match=r"stopped in epoch 4: cannot write .*Resume it with .*--resume"):
            fr.train("digits", RECIPE, seed=1, out=path, progress=FullDisk(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert not list(path.rglob(".*.tmp"))
    run = fr.resume(path)
    assert "resumed after epoch 2." in " ".join(run.record.notes)
    assert_same_training(run, whole)


def test_a_disk_that_is_full_from_the_beginning_leaves_nothing(tmp_path: Path) -> None:
    try:
        with pytest.raises(StorageError, match="stopped in epoch 2: cannot write"):
            fr.train("digits", RECIPE, seed=1, out=tmp_path / "run", progress=FullDisk(0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert not (tmp_path / "run").exists()
