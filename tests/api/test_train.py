"""`train`: a recipe on a dataset, and the run that is left."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.data.dataset import Dataset
from fittingroom.errors import InputError, Interrupted, RecipeError, RunError, StorageError
from fittingroom.progress import Progress
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.place import RunsFolder

pytestmark = pytest.mark.usefixtures("quick_compiler")

TINY = fr.Recipe(name="tiny", hidden=(8,), epochs=3, batch_size=64)


def files(run: fr.Run) -> dict[str, bytes]:
    """What is in the files of a run, but for times and places."""
    names = ("history.csv", "outcomes.npz", "weights.safetensors", "model.json")
    return {name: (SeedFiles(run.path).folder / name).read_bytes() for name in names}


def test_the_course_recipe_learns_digits(digits: Dataset) -> None:
    run = fr.train(digits, "course")
    assert run.record.status == "finished"
    assert run.record.validation is not None
    assert run.record.validation.accuracy is not None
    assert run.record.validation.accuracy > 0.85
    assert run.history["loss"] == sorted(run.history["loss"], reverse=True)


def test_the_same_seed_gives_the_same_files_and_another_seed_others(digits: Dataset) -> None:
    first, again, other = (files(fr.train(digits, TINY, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert set(first) == {"history.csv", "model.json", "outcomes.npz", "weights.safetensors"}
    for name in ("history.csv", "outcomes.npz", "weights.safetensors"):
        assert other[name] != first[name]


def test_outcomes_history_and_result_of_validation_agree(digits: Dataset) -> None:
    run = fr.train(digits, TINY)
    outcomes, result = run.outcomes, run.record.validation
    assert outcomes is not None
    assert result is not None
    assert digits.validation is not None
    assert outcomes.loss.shape == (3, 120)
    np.testing.assert_array_equal(outcomes.labels, digits.validation.labels)
    np.testing.assert_allclose(outcomes.loss.mean(axis=1), run.history["val_loss"], atol=1e-5)
    np.testing.assert_allclose(
        (outcomes.predicted == outcomes.labels).mean(axis=1), run.history["val_accuracy"], atol=1e-6
    )
    np.testing.assert_allclose(outcomes.loss, -np.log(outcomes.probability), atol=1e-5)
    assert result.loss == pytest.approx(run.history["val_loss"][-1], rel=1e-6)  # a mean in 64 bits, not in 32
    assert result.count == 120
    assert result.accuracy == pytest.approx(run.history["val_accuracy"][-1])
    probabilities = run.predict(digits.validation.images)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), outcomes.predicted[-1])


def test_without_validation_there_are_no_outcomes_and_no_result() -> None:
    run = fr.train("digits", TINY, validation=0)
    assert set(run.history) == {"loss", "accuracy"}
    assert run.outcomes is None
    assert run.record.validation is None
    assert run.record.data.counts == {"train": 1437, "validation": 0, "test": 360}


def test_a_stop_condition_ends_it_and_gives_the_reason(digits: Dataset) -> None:
    run = fr.train(digits, TINY.changed(epochs=40, stop=("loss<1.5",)))
    assert run.record.status == "stopped"
    assert run.record.reason is not None
    assert run.record.reason.startswith("loss<1.5 after epoch")
    assert run.history["loss"][-1] < 1.5 <= run.history["loss"][-2]


def test_dropout_is_drawn_from_the_seed_and_left_out_of_predictions(digits: Dataset) -> None:
    recipe = TINY.changed(dropout=0.5, epochs=1)
    first, again = (fr.train(digits, recipe, seed=0) for _ in range(2))
    assert dict(first.history) == dict(again.history)
    np.testing.assert_array_equal(first.predict(digits.train.images[:9]), first.predict(digits.train.images[:9]))
    assert dict(first.history) != dict(fr.train(digits, recipe, seed=1).history)


def test_images_that_are_not_scaled_are_trained_on_and_it_is_said(
    digits: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="fittingroom"):
        run = fr.train(digits, TINY.changed(scale=False))
    assert run.record.notes == ("The images are not scaled: their values go from 0 to 16, not from 0 to 1.",)
    assert caplog.messages == list(run.record.notes)
    raw = digits.train.images[:20]
    np.testing.assert_allclose(run.predict(raw), run.model.predict(raw.astype(np.float32), verbose=0), atol=1e-6)


def test_a_batch_larger_than_the_data_is_clamped_and_it_is_said(digits: Dataset) -> None:
    run = fr.train(digits, TINY.changed(batch_size=2000, epochs=1))
    assert run.record.recipe["batch_size"] == 1317
    assert run.record.notes == ("The batch size 2,000 is larger than the 1,317 training images; 1,317 is used.",)


def no_epochs() -> Any:
    return fr.train("digits", fr.Recipe(epochs=0))


def negative_seed() -> Any:
    return fr.train("digits", TINY, seed=-1)


def validation_rule_without_validation() -> Any:
    return fr.train("digits", TINY.changed(stop=("val_loss rises 3",)), validation=0)


def unknown_recipe() -> Any:
    return fr.train("digits", "cuorse")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (no_epochs, RecipeError, "epochs = 0"),
        (negative_seed, InputError, "seed=-1; expected a whole number from 0"),
        (validation_rule_without_validation, RecipeError, "needs validation data, and this training has none"),
        (unknown_recipe, InputError, "Did you mean 'course'"),
    ],
)
def test_wrong_arguments_are_refused_before_training(
    call: Callable[[], Any], error: type[Exception], words: str, runs_dir: Path
) -> None:
    with pytest.raises(error, match=words):
        call()
    assert not runs_dir.exists()


class MustNotStart(Progress):
    """Fails the test if training begins."""

    def start(self, epochs: int, steps: int) -> None:
        raise AssertionError


def test_a_folder_that_is_taken_is_found_before_training(digits: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(RunError, match="is there already, and a run overwrites nothing"):
        fr.train(digits, TINY, out=tmp_path / "mine", progress=MustNotStart())


def test_a_place_that_cannot_be_written_is_found_before_training(digits: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot write .*a part of the path is a file, not a folder"):
        fr.train(digits, TINY, out=tmp_path / "file" / "run", progress=MustNotStart())


def test_a_full_disk_is_found_before_training(digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = type("Usage", (), {"free": 10 * 2**20})()
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    with pytest.raises(StorageError, match="10 MB of free space, and a run needs about 32 MB"):
        fr.train(digits, TINY, out=tmp_path / "run", progress=MustNotStart())


def test_the_runs_own_folder_may_be_given_as_text(digits: Dataset, tmp_path: Path) -> None:
    assert fr.train(digits, TINY.changed(epochs=1), out=f"{tmp_path}/mine").path == tmp_path / "mine"


class InterruptAt(Progress):
    """Presses Ctrl-C at a moment of the training."""

    def __init__(self, epoch: int, *, within: bool) -> None:
        self.moment = epoch
        self.within = within

    def step(self, epoch: int, done: int, total: int, logs: Mapping[str, float]) -> None:
        if self.within and epoch == self.moment and done < total:
            self.within = False
            signal.raise_signal(signal.SIGINT)

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        if not self.within and epoch == self.moment:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_in_the_first_epoch_leaves_no_run(digits: Dataset) -> None:
    with pytest.raises(Interrupted, match="interrupted by Ctrl-C; no epoch was finished, so there is no run") as error:
        fr.train(digits, TINY, progress=InterruptAt(0, within=True))
    assert error.value.path is None
    assert RunsFolder().runs() == []


def test_ctrl_c_between_epochs_leaves_the_run_that_so_many_epochs_would_have_left(digits: Dataset) -> None:
    with pytest.raises(Interrupted, match="the 2 finished epochs are kept in") as error:
        fr.train(digits, TINY, progress=InterruptAt(1, within=False))
    assert error.value.path is not None
    run = fr.open_run(error.value.path)
    assert run.record.status == "interrupted"
    assert files(run) == files(fr.train(digits, TINY.changed(epochs=2)))


def test_ctrl_c_after_the_last_epoch_has_nothing_to_interrupt(digits: Dataset) -> None:
    run = fr.train(digits, TINY, progress=InterruptAt(2, within=False))
    assert run.record.status == "finished"


def test_a_model_of_the_users_own_file_is_trained_as_the_rest_of_the_recipe_says(
    digits: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "import keras\n"
        "def build():\n"
        "    return keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(),\n"
        "                             keras.layers.Dense(10, activation='softmax')])\n"
    )
    recipe = TINY.changed(model=f"{tmp_path}/mine.py:build", optimizer="sgd", learning_rate=0.1)
    first, again = fr.train(digits, recipe), fr.train(digits, recipe)
    assert files(first)["history.csv"] == files(again)["history.csv"]
    opened = fr.open_run(first.path)
    np.testing.assert_array_equal(opened.predict(digits.train.images[:9]), first.predict(digits.train.images[:9]))
    assert opened.evaluate().scores == first.evaluate().scores
