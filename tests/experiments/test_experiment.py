"""Experiments on digits: what is trained, what is told, and that the test set stays closed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import fittingroom as fr
from fittingroom.api.train import train
from fittingroom.errors import DataError, InputError, RunError
from fittingroom.experiments import executor as local
from fittingroom.experiments.experiment import Experiment
from fittingroom.experiments.experiment_progress import _LiveTable, progress_for_experiment
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.ledger import Ledger
from fittingroom.runs.place import RunsFolder
from fittingroom.runs.unfinished import RunLock

pytestmark = pytest.mark.usefixtures("quick_compiler")

BASE = Recipe(name="base", hidden=(8,), epochs=2)
SGD = Recipe(name="sgd", hidden=(8,), activation="linear", optimizer="sgd", epochs=2)
VARY = {"batch_size": [32, 128]}


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Two recipes with two seeds each, which no test trains further."""
    return fr.experiment("digits", BASE, vary=VARY, seeds=2, out=tmp_path_factory.mktemp("finished") / "small")


def test_every_cell_is_trained_and_every_epoch_is_in_the_table(finished: Experiment) -> None:
    assert [cell.status for cell in finished.cells] == ["done"] * 4
    table = rows(finished.epochs_csv)
    assert [(row["batch_size"], row["seed"], row["epoch"]) for row in table] == [
        (size, seed, epoch) for size in ("32", "128") for seed in ("0", "1") for epoch in ("1", "2")
    ]
    alone = fr.train("digits", BASE.changed(batch_size=128), seed=1)
    assert [float(row["val_loss"]) for row in table[-2:]] == alone.history["val_loss"]
    assert [row["status"] for row in rows(finished.cells_csv)] == ["done"] * 4


def test_recipes_have_intervals_costs_and_a_front_and_pairs_are_tested(finished: Experiment) -> None:
    facts = finished.to_dict()
    first, second = facts["recipes"]
    assert (first["recipe"], second["recipe"]) == ("base batch_size=32", "base batch_size=128")
    assert first["parameters"] == 8 * 8 * 8 + 8 + 8 * 10 + 10
    assert first["accuracy"]["mean"] > second["accuracy"]["mean"]
    assert facts["chosen"] == "base batch_size=32"
    assert first["pareto"]
    assert facts["comparison"]["pairs"][0]["better"] == "base batch_size=32"
    assert facts["test"] is None


def test_again_nothing_is_trained_and_more_seeds_train_only_those(
    finished: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[int, ...]] = []

    def watched(*args: Any, seeds: Sequence[int], **options: Any) -> object:
        trained.append(tuple(seeds))
        return train(*args, seeds=seeds, **options)

    monkeypatch.setattr(local, "train", watched)
    before = finished.epochs_csv.read_bytes()
    fr.experiment("digits", BASE, vary=VARY, seeds=2, out=finished.path)
    assert trained == []
    assert finished.epochs_csv.read_bytes() == before
    first = fr.experiment("digits", BASE, seeds=[0, 2], out=tmp_path / "grown")
    grown = fr.experiment("digits", BASE, seeds=3, out=tmp_path / "grown")
    assert trained == [(0, 2), (1,)]
    assert [cell.cell.seed for cell in grown.cells] == [0, 1, 2]
    assert grown.cells[2].folder == first.cells[1].folder


def test_a_cell_that_diverges_is_reported_with_its_reason_and_the_others_continue(tmp_path: Path) -> None:
    done = fr.experiment("digits", SGD, vary={"learning_rate": [1e9, 0.1]}, seeds=2, out=tmp_path / "one")
    assert [cell.status for cell in done.cells] == ["failed", "failed", "done", "done"]
    assert all("the loss became NaN" in str(cell.reason) for cell in done.cells[:2])
    assert done.chosen is not None
    assert done.chosen.variant.name == "sgd learning_rate=0.1"
    assert "NaN" in rows(done.cells_csv)[0]["reason"]
    assert not any(cell.again for cell in done.cells[:2])


def test_of_seeds_that_trained_together_only_those_that_diverged_have_failed(tmp_path: Path) -> None:
    done = fr.experiment("digits", BASE, seeds=3, out=tmp_path / "one")
    (run,) = (done.path / "runs").iterdir()
    layout, record = (json.loads((run / name).read_text()) for name in ("run.json", "seed-1/run.json"))
    (run / "run.json").write_text(json.dumps(layout | {"kept": [1, 2]}))
    reason = "the loss became NaN in step 3 of epoch 2"
    (run / "seed-1" / "run.json").write_text(json.dumps(record | {"status": "diverged", "reason": reason}))
    last = run / "seed-2" / "run.json"
    stored = json.loads(last.read_text())
    last.write_text(json.dumps(stored | {"validation": stored["validation"] | {"loss": None}}))
    again = fr.experiment("digits", BASE, seeds=3, out=done.path)
    assert [(cell.status, cell.reason) for cell in again.cells] == [
        ("failed", "The loss became NaN or infinite before the first epoch was over."),
        ("failed", reason),
        ("failed", "The validation loss is infinite: an image's class got the probability 0."),
    ]
    assert again.chosen is None
    assert list((done.path / "runs").iterdir()) == [run]
    with pytest.raises(RunError, match="No recipe has finished with all seeds"):
        again.look()


def test_a_cell_without_memory_is_reported_and_tried_again_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def without_memory(dataset: Any, recipe: Recipe, **options: Any) -> object:
        if recipe.batch_size == 32:
            raise MemoryError("no room for 8 TB")
        return train(dataset, recipe, **options)

    monkeypatch.setattr(local, "train", without_memory)
    done = fr.experiment("digits", BASE, vary=VARY, seeds=1, out=tmp_path / "one")
    assert [(cell.status, cell.reason) for cell in done.cells] == [
        ("failed", "MemoryError: no room for 8 TB"),
        ("done", None),
    ]
    monkeypatch.setattr(local, "train", train)
    again = fr.experiment("digits", BASE, vary=VARY, seeds=1, out=tmp_path / "one")
    assert [cell.status for cell in again.cells] == ["done", "done"]
    assert not list((tmp_path / "one" / "failed").iterdir())


def test_a_recipe_that_does_not_fit_the_images_is_a_failed_cell(tmp_path: Path) -> None:
    deep = [[], [[4]] * 6]  # 8x8 pixels cannot be halved six times
    done = fr.experiment("digits", BASE, vary={"convolutions": deep}, seeds=1, out=tmp_path / "one")
    assert [cell.status for cell in done.cells] == ["done", "failed"]
    assert "Error: " in str(done.cells[1].reason)


def test_the_test_set_is_opened_only_at_the_end_for_the_chosen_recipe_and_once(tmp_path: Path) -> None:
    def asked(*, final: bool, vary: dict[str, list[int]] = VARY) -> Experiment:
        return fr.experiment("digits", BASE, vary=vary, seeds=2, out=tmp_path / "one", final=final)

    assert asked(final=False).final is None
    assert len(Ledger.of_user().looks()) == 0
    first = asked(final=True)
    assert first.final is not None
    assert first.final.seeds == (0, 1)
    looks = Ledger.of_user().looks()
    assert {look.intent.recipe for look in looks} == {"base batch_size=32"}
    assert [look.look for look in looks] == [1, 1]  # the seeds of one chosen recipe are one look
    assert first.final.looks == "look 1"
    assert (first.final.reuse.looks, first.final.luck) == (1, 0)
    assert "best of" not in str(first.final)
    again = asked(final=True)
    assert again.final is not None
    assert again.final.accuracy == first.final.accuracy
    assert len(Ledger.of_user().looks()) == len(looks) == 2
    with pytest.raises(RunError, match="has been opened for 'base batch_size=32' already, and validation now chooses"):
        asked(final=True, vary={"batch_size": [32, 4]})
    assert len(Ledger.of_user().looks()) == 2


def test_without_validation_images_there_is_nothing_to_compare_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="compares recipes on validation images, and there are none"):
        fr.experiment("digits", BASE, validation=0, out=tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_two_processes_do_not_work_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    lock = RunLock(tmp_path / "one")
    with pytest.raises(RunError, match="is being trained by process"):
        fr.experiment("digits", BASE, out=tmp_path / "one")
    lock.release()


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is not the folder of an experiment: it has no experiment\.json"):
        fr.experiment("digits", BASE, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_without_a_folder_the_same_experiment_finds_its_own_again(runs_dir: Path) -> None:
    first = fr.experiment("digits", BASE, seeds=1)
    assert first.path.parent == runs_dir
    assert fr.experiment("digits", BASE, seeds=1).cells[0].folder == first.cells[0].folder
    assert RunsFolder().runs() == []  # an experiment is no run, and `latest` is none of its cells


def test_a_terminal_shows_cells_what_runs_the_best_and_the_time_left(tmp_path: Path) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    fr.experiment("digits", BASE, vary=VARY, seeds=2, out=tmp_path / "one", progress=_LiveTable(console))
    shown = screen.getvalue()
    assert "0 of 4 done" in shown
    assert "base batch_size=32  0/2 seeds" in shown
    assert "base batch_size=32, " in shown.rpartition("best so far")[2]
    assert "4 of 4 done" in shown.rpartition("cells")[2]


def test_without_a_terminal_nothing_is_shown(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    fr.experiment("digits", BASE, seeds=1, out=tmp_path / "one", progress=progress_for_experiment())
    assert capfd.readouterr() == ("", "")
