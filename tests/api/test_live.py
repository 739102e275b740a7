"""A training can be watched from its first stage to its end by whoever reads its folder, and notices nothing of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.engine import programs
from fittingroom.errors import DivergedError, Interrupted
from fittingroom.progress import Progress
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs import live
from fittingroom.runs.live import EVENTS_NAME, LIVE_NAME, LiveStream
from fittingroom.runs.watched import WatchedTraining
from tests.api.stopping import Crash, CrashIn, CtrlCIn

RECIPE = Recipe(name="watched", hidden=(8,), epochs=3)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "SECONDS_PER_CALL", 1e-6)
    monkeypatch.setattr(live, "_SECONDS_BETWEEN_STEPS", 0.0)


class Watching(Progress):
    """Looks at the folder after each step and each epoch, from within the training, as a watcher beside it would."""

    def __init__(self, watched: WatchedTraining) -> None:
        self.watched = watched
        self.seen: list[tuple[str, int, int, bool]] = []
        self.images: dict[int, tuple[Any, Any]] = {}
        self.labels: Any = None

    def start(self, epochs: int, steps: int) -> None:
        self.watched.look()

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        self.watched.look()
        one = self.watched.seeds[0]
        self.seen.append((self.watched.stage, len(one.rows), len(one.points), one.validating))
        self.labels = self.watched.labels()

    def validated(self, epoch: int, predicted: Any, loss: Any) -> None:
        self.images |= self.watched.epoch_images(0)


@pytest.fixture
def watch() -> Iterator[Callable[[Path], WatchedTraining]]:
    """Makes watchers, and closes them at the end."""
    made: list[WatchedTraining] = []

    def make(folder: Path) -> WatchedTraining:
        made.append(WatchedTraining(folder))
        return made[-1]

    yield make
    for watched in made:
        watched.close()


Watch = Callable[[Path], WatchedTraining]


def events_of(folder: Path) -> Path:
    return folder / LIVE_NAME / EVENTS_NAME


def test_what_is_told_is_what_the_run_keeps_and_nothing_of_it_is_left(tmp_path: Path, watch: Watch) -> None:
    watching = Watching(watch(tmp_path / "run"))
    run = fr.train("digits", RECIPE, out=tmp_path / "run", progress=watching)
    watched = watching.watched
    watched.look()  # the file is gone by now, and its last lines can still be read
    assert not (run.path / LIVE_NAME).exists()
    assert watched.status == "finished"
    assert watched.seeds[0].over
    assert watched.seeds[0].share == 1
    assert list(watched.seeds[0].rows.values()) == run.history.rows
    assert ("training", 1, 0, False) in watching.seen
    assert any(points for _, _, points, _ in watching.seen)
    assert run.outcomes is not None
    np.testing.assert_array_equal(watching.labels, run.outcomes.labels)
    assert list(watching.images) == [0, 1]  # the third was written after the last look
    for epoch, (predicted, loss) in watching.images.items():
        np.testing.assert_array_equal(predicted, run.outcomes.predicted[epoch])
        np.testing.assert_allclose(loss, run.outcomes.loss[epoch], rtol=1e-3, atol=1e-6)


def test_several_seeds_are_told_apart(tmp_path: Path, watch: Watch) -> None:
    folder = tmp_path / "run"
    stream = LiveStream([3, 7])
    folder.mkdir()
    stream.open(folder)
    for seed in (3, 7):
        told = stream.seed(seed)
        told.start(2, 10)
        told.step(0, 5, 10, {"loss": float(seed), "accuracy": float("nan")})
    watched = watch(folder)
    assert watched.look()
    assert not watched.look()
    assert {seed: one.points for seed, one in watched.seeds.items()} == {
        3: [(0.5, {"loss": 3.0})],
        7: [(0.5, {"loss": 7.0})],
    }


def test_the_first_steps_of_a_fast_training_do_not_press_its_curve_flat(tmp_path: Path, watch: Watch) -> None:
    stream = LiveStream([0])
    stream.open(tmp_path)
    told = stream.seed(0)
    told.start(2, 100)
    told.step(0, 1, 100, {"loss": 9.0})
    told.step(0, 50, 100, {"loss": 1.0})
    watched = watch(tmp_path)
    watched.look()
    assert watched.seeds[0].reach == {"loss": (1.0, 1.0)}
    told.epoch(0, {"loss": 0.5})
    told.step(1, 1, 100, {"loss": 0.2})
    watched.look()
    assert watched.seeds[0].points == [(1.01, {"loss": 0.2})]
    assert watched.seeds[0].reach == {"loss": (0.2, 1.0)}


def test_an_interrupted_training_keeps_what_it_told_and_continues_it(tmp_path: Path, watch: Watch) -> None:
    with pytest.raises(Interrupted):
        fr.train("digits", RECIPE, out=tmp_path / "run", progress=CtrlCIn(1))
    watched = watch(tmp_path / "run")
    watched.look()
    assert watched.status == "interrupted"
    assert "--resume" in watched.text
    assert list(watched.seeds[0].rows) == [0]
    run = fr.resume(tmp_path / "run")
    watched.look()
    assert list(watched.seeds[0].rows.values()) == run.history.rows
    assert watched.status == "finished"
    assert any("resumed" in note for note in watched.notes)


def test_a_killed_training_can_still_be_read(tmp_path: Path, watch: Watch) -> None:
    with pytest.raises(Crash):
        fr.train("digits", RECIPE, out=tmp_path / "run", progress=CrashIn(2))
    path = events_of(tmp_path / "run")
    # A kill writes no end, and may cut a line off.
    path.write_bytes(path.read_bytes().rpartition(b'{"kind":"end"')[0] + b'{"kind":"st')
    watched = watch(tmp_path / "run")
    watched.look()
    assert (watched.status, list(watched.seeds[0].rows)) == (None, [0, 1])
    fr.resume(tmp_path / "run")
    watched.look()
    assert (watched.status, list(watched.seeds[0].rows)) == ("finished", [0, 1, 2])


def test_a_diverged_training_says_so_although_its_folder_is_gone(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / "run").mkdir()
    watching = Watching(watch(tmp_path / "run"))
    recipe = Recipe(name="wild", hidden=(8,), optimizer="sgd", learning_rate=1e9, scale=False, epochs=2)
    with pytest.raises(DivergedError) as error:
        fr.train("digits", recipe, out=tmp_path / "run", progress=watching)
    watching.watched.look()
    assert not (tmp_path / "run").exists()
    assert (watching.watched.status, watching.watched.text) == ("diverged", str(error.value))


def test_a_full_disk_silences_the_stream_and_not_the_training(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "run" / LIVE_NAME).mkdir(parents=True)
    events_of(tmp_path / "run").symlink_to("/dev/full")
    stream = LiveStream([0])
    stream.open(tmp_path / "run")
    stream.seed(0).epoch(0, {"loss": 1.0})
    stream.close(None)
    (tmp_path / "other").write_text("a file where the folder should be")
    stream = LiveStream([0])
    stream.open(tmp_path / "other")
    stream.tell_epoch(0, 0, np.zeros(3, int), np.zeros(3))
    stream.close(None)


HOSTILE = [
    b"",
    b"\x00\xff\xfe",
    b"[" * 100_000,
    b'{"kind": "__class__", "at": 1}',
    b'{"kind": ["begin"], "at": 1}',
    b'{"kind": "begin", "at": 1, "pid": -1, "seeds": [0]}',
    b'{"kind": "begin", "at": 1, "pid": 1, "seeds": {"a": 1}}',
    b'{"kind": "begin", "at": NaN, "pid": 1, "seeds": [0]}',
    b'{"kind": "step", "at": 1, "seed": 5, "epoch": 0, "done": 1, "total": 2, "logs": {}}',
    b'{"kind": "step", "at": 1, "seed": 0, "epoch": 1e300, "done": 1, "total": 2, "logs": {}}',
    b'{"kind": "epoch", "at": 1, "seed": 0, "epoch": 0, "logs": {"loss": "<script>"}}',
    b'{"kind": "epoch", "at": 1, "seed": 0, "epoch": 0, "logs": {"loss": 1e999}}',
    b'{"kind": "note", "at": 1, "text": "\\ud800"}',
    b'{"kind": "start", "at": 1, "seed": 0, "epochs": true, "steps": 1}',
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_line_of_another_form_counts_as_not_told(line: bytes, tmp_path: Path, watch: Watch) -> None:
    stream = LiveStream([0])
    stream.open(tmp_path)
    with events_of(tmp_path).open("ab") as file:
        file.write(line + b"\n")
    stream.seed(0).epoch(1, {"loss": 1.0})
    watched = watch(tmp_path)
    watched.look()
    assert watched.seeds[0].rows == {1: {"loss": 1.0}}
    assert watched.notes == []
    json.dumps(vars(watched.seeds[0]))


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"\x00" * 4 + b"\xff" * 4, b"\xff" * 100, b"\x00" * 9], ids=len)
def test_images_of_another_form_count_as_not_told(content: bytes, tmp_path: Path, watch: Watch) -> None:
    stream = LiveStream([0])
    stream.open(tmp_path, np.array([0, 1]))
    (tmp_path / LIVE_NAME / "seed-0").write_bytes(content)
    (tmp_path / LIVE_NAME / "labels").write_bytes(content)
    watched = watch(tmp_path)
    assert all(len(predicted) == 0 for predicted, _ in watched.epoch_images(0).values())
    watched.labels()


def test_a_pipe_in_place_of_the_events_is_not_waited_for(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / LIVE_NAME).mkdir()
    os.mkfifo(events_of(tmp_path))
    assert not watch(tmp_path).look()
