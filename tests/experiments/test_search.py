"""Searches on digits: what is proposed, that nothing is lost, and that the test set stays closed."""

from __future__ import annotations

import io
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import fittingroom as fr
from fittingroom.errors import InputError, Interrupted, RunError, StorageError
from fittingroom.experiments.executor import Executor, train_missing
from fittingroom.experiments.experiment_progress import ExperimentProgress, _LiveTable
from fittingroom.experiments.experiment_store import ExperimentFolder
from fittingroom.experiments.plan import ExperimentPlan, Variant
from fittingroom.experiments.search import _Pruning
from fittingroom.experiments.search_result import Search
from fittingroom.progress import Progress
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.ledger import Ledger
from tests.api.stopping import Crash

pytestmark = pytest.mark.usefixtures("quick_compiler")

SMALL = """
dataset = "digits"
recipe = "course"
seeds = {seeds}
trials = {trials}

[set]
epochs = {epochs}
hidden = 8

[search]
learning_rate = {{low = 1e-3, high = 1e-1, log = true}}
batch_size = {{low = 32, high = 64, step = 32}}
"""


def written(folder: Path, *, trials: int = 3, seeds: int = 1, epochs: int = 2) -> Path:
    path = folder / "search.toml"
    path.write_text(SMALL.format(trials=trials, seeds=seeds, epochs=epochs))
    return path


def outcome(found: Search) -> list[tuple[Any, ...]]:
    """What became of the trials, in their order; numbers count what was cut off, too."""
    return [(one.variant.name, one.status, one.value, one.reason) for one in found.trials]


@pytest.fixture(scope="module")
def screen() -> io.StringIO:
    """What a terminal showed of `finished`."""
    return io.StringIO()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, screen: io.StringIO) -> Search:
    """Three trials, which no test takes further."""
    folder = tmp_path_factory.mktemp("search")
    console = Console(file=screen, force_terminal=True, width=100)
    return fr.search(written(folder), out=folder / "one", progress=_LiveTable(console))


def test_trials_stay_in_their_ranges_and_are_kept_as_runs(finished: Search) -> None:
    assert [one.status for one in finished.trials] == ["finished"] * 3
    for trial in finished.trials:
        recipe, run = trial.variant.recipe, finished.run_of(trial)
        assert 1e-3 <= recipe.learning_rate <= 1e-1
        assert recipe.batch_size in {32, 64}
        assert run is not None
        record = fr.open_run(run).record
        assert record.validation is not None
        assert record.validation.accuracy == trial.value
        assert Recipe.from_dict(record.recipe).learning_rate == recipe.learning_rate
    assert len({one.variant.name for one in finished.trials}) == 3


def test_the_best_is_shown_with_what_its_lead_may_be_by_luck(finished: Search) -> None:
    assert finished.best is not None
    assert finished.best.value == max(one.value or 0.0 for one in finished.trials)
    facts = finished.to_dict()
    assert facts["best"]["trial"] == finished.best.number
    assert facts["luck"]["trials"] == 3
    assert 0 < facts["luck"]["luck"] < 0.1
    assert facts["luck"]["expected"] == facts["best"]["value"] - facts["luck"]["luck"]
    assert facts["test"] is None
    assert finished.luck is not None
    assert finished.luck.sentence() in (card := finished._repr_html_())
    assert "3 trials on digits, for accuracy" in card
    assert (finished.path / "epochs.parquet").exists()


def test_the_test_set_is_opened_for_the_best_trial_alone(tmp_path: Path) -> None:
    asked = written(tmp_path, trials=1)
    assert fr.search(asked, out=tmp_path / "one").final is None
    assert Ledger.of_user().looks() == []
    done = fr.search(asked, out=tmp_path / "one", final=True)
    assert done.final is not None
    assert [look.intent.recipe for look in Ledger.of_user().looks()] == [done.trials[0].variant.name]
    assert fr.search(asked, out=tmp_path / "one", final=True).final is not None
    assert len(Ledger.of_user().looks()) == 1


class Stops(ExperimentProgress):
    """Raises at an epoch, counted over all trials."""

    def __init__(self, at: int, error: type[BaseException] = Crash) -> None:
        self.left = at
        self.error = error

    def training(self, name: str, cells: int) -> Progress:
        del name, cells
        return _Stopping(self)


class _Stopping(Progress):
    def __init__(self, watcher: Stops) -> None:
        self._watcher = watcher

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        del epoch, logs
        self._watcher.left -= 1
        if not self._watcher.left:
            raise self._watcher.error


def test_a_search_that_was_stopped_continues_with_the_same_trials(finished: Search, tmp_path: Path) -> None:
    asked = written(tmp_path)
    with pytest.raises(Crash):
        fr.search(asked, out=tmp_path / "one", progress=Stops(2))
    with pytest.raises(Interrupted, match=r"was stopped after 1 of 3 trials, which are in .*one\. The same call con"):
        fr.search(asked, out=tmp_path / "one", progress=Stops(2, KeyboardInterrupt))
    again = fr.search(asked, out=tmp_path / "one")
    assert outcome(again) == outcome(finished)
    assert (again.path / "epochs.csv").read_bytes() == (finished.path / "epochs.csv").read_bytes()
    nothing = fr.search(asked, out=tmp_path / "one", progress=Stops(1))
    assert outcome(nothing) == outcome(finished)


@pytest.mark.slow
def test_a_trial_whose_settings_do_not_go_together_fails_and_the_others_continue(tmp_path: Path) -> None:
    path = tmp_path / "search.toml"
    path.write_text(
        'dataset = "digits"\nseeds = 1\ntrials = 4\n[set]\nepochs = 1\ndropout = 0.1\n'
        "[search]\nhidden = {choices = [8, []]}\n"
    )
    done = fr.search(path, out=tmp_path / "one")
    assert {one.status for one in done.trials} == {"finished", "failed"}
    assert len(done.trials) == 4
    reasons = {str(one.reason) for one in done.trials if one.status == "failed"}
    assert all("expected 0, since there is no hidden layer" in reason for reason in reasons)
    assert len(list((done.path / "runs").iterdir())) == 1  # the same recipe is trained once


class AlwaysBehind:
    """A proposal that falls behind after its second epoch."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def epoch(self, epoch: int, value: float) -> bool:
        assert 0 <= value <= 1
        self.told.append(epoch)
        return epoch == 1


def test_a_trial_that_falls_behind_is_ended_and_its_epochs_are_kept(tmp_path: Path) -> None:
    data, proposal = fr.load("digits"), AlwaysBehind()
    variant = Variant(Recipe(name="base", hidden=(8,), epochs=6))
    plan = ExperimentPlan.of(data, [variant], (0, 1))
    pruning = _Pruning(ExperimentProgress(), proposal, 0, "val_accuracy")  # type: ignore[arg-type]
    with ExperimentFolder.locked(tmp_path / "one", plan) as folder, pytest.raises(Interrupted):
        train_missing(folder, plan, data, pruning, Executor())
    assert pruning.pruned.is_set()
    assert proposal.told == [0, 1]
    (run,) = (tmp_path / "one" / "runs").iterdir()
    first = next(iter(fr.open_run(run)))
    assert (first.record.status, first.record.epochs) == ("interrupted", 2)


@pytest.mark.usefixtures("finished")
def test_a_terminal_shows_trials_the_best_and_the_time_left(screen: io.StringIO) -> None:
    shown = screen.getvalue()
    assert "0 of 3 done" in shown
    assert "1/1 seeds" in shown
    assert "3 of 3 done" in shown.rpartition("trials")[2]
    assert "learning_rate=" in shown.rpartition("best so far")[2]


def test_folders_that_share_a_database_share_trials(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    asked = written(tmp_path, trials=1, epochs=1)
    fr.search(asked, out=tmp_path / "one", storage=storage)
    other = fr.search(asked, out=tmp_path / "other", storage=storage)
    assert len(other.trials) == 1
    assert other.run_of(other.trials[0]) is None
    with pytest.raises(RunError, match=r"The best trial was trained elsewhere, at .*one\. Use --final there"):
        other.look()


def test_a_database_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        StorageError, match=r"the search's database cannot be used: .*--storage takes a URL as Optuna does"
    ):
        fr.search(written(tmp_path), out=tmp_path / "one", storage="nosuchdatabase://here/there")


def test_without_optuna_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"a search needs Optuna.*pip install 'fittingroom\[search\]'"):
        fr.search(written(tmp_path), out=tmp_path / "one")


@pytest.mark.slow
def test_trials_that_fall_behind_are_ended_early_and_kills_change_none(tmp_path: Path) -> None:
    asked = written(tmp_path, trials=14, seeds=2, epochs=5)
    text = asked.read_text().replace("low = 1e-3, high = 1e-1", "low = 1e-6, high = 1e-1")
    asked.write_text(text)
    whole = fr.search(asked, out=tmp_path / "whole")
    pruned = [one for one in whole.trials if one.status == "pruned"]
    assert pruned
    assert max(one.value or 0.0 for one in pruned) < max(one.value or 0.0 for one in whole.trials)
    stopped, chance = tmp_path / "stopped", random.Random(6)
    program = "import sys, fittingroom as fr; fr.search(sys.argv[1], out=sys.argv[2])"
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", program, asked, stopped], stderr=subprocess.PIPE)
        while not (stopped / "search.sqlite").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(2, 12))
        process.kill()
        process.communicate()
    again = fr.search(asked, out=stopped)
    assert [one[:2] for one in outcome(again)] == [one[:2] for one in outcome(whole)]
    finished = [one for one in outcome(whole) if one[1] == "finished"]
    assert [one for one in outcome(again) if one[1] == "finished"] == finished


def a_view(file: Path) -> None:
    """A table of Optuna's that computes for ever."""
    with sqlite3.connect(file) as connection:
        connection.execute("ALTER TABLE trials RENAME TO others")
        endless = "WITH RECURSIVE n(trial_id) AS (SELECT 1 UNION ALL SELECT trial_id + 1 FROM n) SELECT trial_id FROM n"
        connection.execute(f"CREATE VIEW trials AS {endless}")
    connection.close()


def a_virtual_table(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE VIRTUAL TABLE more USING fts5(a)")
    connection.close()


def damaged_pages(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096:] = b"\x55" * (len(content) - 4096)
    file.write_bytes(content)


def an_odd_value(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE trial_user_attributes SET value_json = 'nonsense'")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (a_view, r"was not written by a search: 'trials' is not a table\. Move the file away"),
        (a_virtual_table, "'more' is not a table"),
        (damaged_pages, r"search\.sqlite is damaged|search\.sqlite cannot be used: database disk image is malformed"),
        (an_odd_value, "the search's database cannot be used: JSONDecodeError"),
        (lambda file: file.write_bytes(b"nothing of ours" * 100), "is not a database of SQLite"),
    ],
    ids=["a view", "a virtual table", "damaged pages", "an odd value", "another file"],
)
def test_a_hostile_database_is_refused(
    finished: Search, tmp_path: Path, spoil: Callable[[Path], object], why: str
) -> None:
    folder = tmp_path / "search"
    shutil.copytree(finished.path, folder)
    spoil(folder / "search.sqlite")
    with pytest.raises(StorageError, match=why):
        fr.search(written(tmp_path), out=folder)


def test_no_connection_is_left_open(finished: Search) -> None:
    left = [target for file in Path("/proc/self/fd").iterdir() if (target := file.resolve()).name == "search.sqlite"]
    assert left == []
