"""Several seeds at once: each as if it were alone, and what they say together."""

from __future__ import annotations

import os
import signal
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

import fittingroom as fr
from fittingroom.data.dataset import Dataset
from fittingroom.errors import DivergedError, InputError, Interrupted, RunError
from fittingroom.progress import Progress
from fittingroom.runs.layout import SeedFiles, read_layout

TINY = fr.Recipe(name="tiny", hidden=(8,), dropout=0.1, epochs=3)  # a program that other tests have compiled


@pytest.fixture
def whole_batches() -> Dataset:
    """1,280 images to train on: whole batches, since the step for a smaller last one is compiled besides."""
    return fr.load("digits", validation=157)


def files(run: fr.Run) -> dict[str, bytes]:
    """What is in a run's folder, but for times and places."""
    return {path.name: path.read_bytes() for path in SeedFiles(run.path).folder.iterdir() if path.name != "run.json"}


def test_each_seed_is_bit_for_bit_what_its_seed_alone_gives(digits: Dataset) -> None:
    several = fr.train(digits, TINY, seeds=[3, 0, 7])
    assert several.seeds == (3, 0, 7)
    for seed, run in zip(several.seeds, several, strict=True):
        assert files(run) == files(fr.train(digits, TINY, seed=seed))
        assert run.record.seed == seed
    assert len({run.history["loss"][0] for run in several}) == 3


def test_seeds_are_spread_over_the_cores(digits: Dataset) -> None:
    assert len(jax.local_devices()) == len(os.sched_getaffinity(0))
    seen: set[int] = set()

    class Where(Progress):
        def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
            del epoch, logs
            device: Any = jax.config.jax_default_device  # type: ignore[attr-defined]
            seen.add(device.id)

    fr.train(digits, TINY, seeds=len(jax.local_devices()), progress=Where())
    assert len(seen) == len(jax.local_devices())


@pytest.mark.skipif(len(jax.local_devices()) < 2, reason="one core cannot share a batch")
@pytest.mark.slow
def test_seeds_whose_batches_the_cores_share_end_as_they_would_alone(whole_batches: Dataset) -> None:
    recipe = fr.Recipe(name="conv", convolutions=((32, 64),), hidden=(), augment=("flip",), epochs=1, batch_size=64)
    several = fr.train(whole_batches, recipe, seeds=2)
    alone = fr.train(whole_batches, recipe, seed=1)
    assert alone.record.environment.devices == several[1].record.environment.devices > 1
    assert files(several[1]) == files(alone)
    assert fr.train(whole_batches, TINY).record.environment.devices == 1


def test_each_seed_stops_on_its_own_and_the_others_continue(digits: Dataset) -> None:
    several = fr.train(digits, TINY.changed(epochs=30, stop=("loss<1.6",)), seeds=4)
    assert len({run.record.epochs for run in several}) > 1
    for run in several:
        assert run.record.status == "stopped"
        assert run.history["loss"][-1] < 1.6 <= run.history["loss"][-2]
    longest = max(run.record.epochs for run in several)
    assert len(several.history["loss"]) == longest
    last = [run.history["loss"][-1] for run in several if run.record.epochs == longest]
    assert several.history["loss"][-1] == pytest.approx(statistics.mean(last))


def test_history_and_results_are_means_and_spreads_of_the_seeds(digits: Dataset) -> None:
    several = fr.train(digits, TINY, seeds=3)
    losses = [run.history["val_loss"][1] for run in several]
    assert several.history["val_loss"][1] == pytest.approx(statistics.mean(losses))
    assert several.history.epoch == [0, 1, 2]
    assert several.validation is not None
    accuracies = [run.record.validation.accuracy for run in several if run.record.validation]
    assert several.validation["accuracy"].values == tuple(accuracies)
    assert several.train["loss"].values == tuple(run.record.train.loss for run in several)


def test_predictions_are_the_mean_over_the_seeds_also_after_opening(digits: Dataset) -> None:
    several = fr.train(digits, TINY, seeds=2)
    images = digits.train.images[:50]
    mean = (several[0].predict(images) + several[1].predict(images)) / 2
    np.testing.assert_allclose(several.predict(images), mean, rtol=1e-6)
    np.testing.assert_array_equal(fr.open_run(several.path).predict(images), several.predict(images))


def test_every_seed_is_scored_on_the_test_set_and_keeps_its_look(digits: Dataset) -> None:
    several = fr.train(digits, TINY, seeds=2)
    result = several.evaluate("the paper")
    assert result.spread["accuracy"].values == tuple(run.evaluate("again").accuracy for run in several)
    assert "(looks 1 to 2 at this test set; best of 2 looks: " in str(result)
    for number, run in enumerate(fr.open_run(several.path), start=1):
        (look,) = run.record.looks
        assert look.reason == "the paper"
        assert run.evaluate().look == number


def test_a_seed_is_a_run_of_its_own_and_what_is_of_one_seed_is_asked_of_it(digits: Dataset, runs_dir: Path) -> None:
    several = fr.train(digits, TINY, seeds=2)
    assert files(fr.open_run(f"{several.path.name}/seed-1")) == files(several[1])
    assert several.path.parent == runs_dir
    for name in ("record", "outcomes", "model"):
        with pytest.raises(RunError, match=rf"has 2 seeds, each with its own {name}\. Take one: run\[0\]\.{name}"):
            getattr(several, name)
    (only,) = alone = fr.open_run(several[1].path)
    assert alone is only is alone[0]
    assert alone.seeds == (1,)


@pytest.mark.parametrize("seeds", [0, [], [1, 1], [-1], 20_000, True, [0.5]])
def test_seeds_that_make_no_sense_are_refused_before_training(seeds: Any, digits: Dataset, runs_dir: Path) -> None:
    with pytest.raises(InputError, match="seed"):
        fr.train(digits, TINY, seeds=seeds)
    assert not runs_dir.exists()


class InterruptAt(Progress):
    """Presses Ctrl-C when a seed has finished its first epoch."""

    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        del logs
        if epoch == 0:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_ends_all_seeds_and_keeps_their_finished_epochs(digits: Dataset) -> None:
    with pytest.raises(Interrupted, match="Ctrl-C; the finished epochs are kept in") as error:
        fr.train(digits, TINY.changed(epochs=10_000), seeds=5, progress=InterruptAt())
    assert error.value.path is not None
    several = fr.open_run(error.value.path)
    assert read_layout(several.path).seeds == (0, 1, 2, 3, 4)
    assert 1 <= len(several) < 5
    for run in several:
        assert run.record.status == "interrupted"
        assert run.record.epochs == len(run.history["loss"]) >= 1


def test_seeds_that_all_diverge_are_an_error_that_names_the_seeds(digits: Dataset, runs_dir: Path) -> None:
    with pytest.raises(DivergedError, match=r"seed 0: the loss became NaN.*seed 1: .*no epoch was finished"):
        fr.train(digits, TINY.changed(activation="linear", optimizer="sgd", learning_rate=1e9), seeds=2)
    assert not list(runs_dir.iterdir())


def test_an_error_in_one_seed_stops_all_and_is_raised(digits: Dataset) -> None:
    class Fails(Progress):
        def for_seeds(self, seeds: Sequence[int]) -> Sequence[Progress]:
            return [self, *[Progress()] * (len(seeds) - 1)]

        def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fr.train(digits, TINY.changed(epochs=10_000), seeds=4, progress=Fails())


@pytest.mark.slow
def test_a_model_of_the_users_own_file_has_its_weights_drawn_for_each_seed(
    whole_batches: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "import keras\n"
        "def build():\n"
        "    return keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dropout(0.2),\n"
        "                             keras.layers.Dense(10, activation='softmax')])\n"
    )
    recipe = fr.Recipe(model=f"{tmp_path}/mine.py:build", epochs=2)
    several = fr.train(whole_batches, recipe, seeds=[0, 5])
    alone = fr.train(whole_batches, recipe, seed=5)
    np.testing.assert_array_equal(
        several[1].predict(whole_batches.train.images), alone.predict(whole_batches.train.images)
    )
    assert several[1].history == alone.history
    assert several[0].history != alone.history


class Remembers(keras.callbacks.Callback):
    """Counts its epochs, and stops after two where one weight is positive, which it is in some seeds only."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[int] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        del logs
        self.epochs.append(epoch)
        assert self.epochs == list(range(epoch + 1))  # nobody else's epochs
        kernel = np.asarray(self.model.layers[1].kernel)
        if epoch >= 1 and kernel[0, 0] > 0:
            self.model.stop_training = True


def assert_same(first: fr.Run, second: fr.Run) -> None:
    """Bit for bit the same training, whatever names Keras gave to the layers."""
    assert first.history == second.history
    assert all(map(np.array_equal, first.model.get_weights(), second.model.get_weights()))


def small() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.Flatten(),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_fit_trains_copies_of_a_model_each_with_callbacks_of_its_own(whole_batches: Dataset) -> None:
    model, callback = small(), Remembers()
    before = model.get_weights()
    several = fr.fit(model, whole_batches, epochs=4, callbacks=[callback], seeds=6)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert callback.epochs == []
    assert {run.record.epochs for run in several} == {2, 4}
    assert {run.record.status for run in several} == {"stopped", "finished"}
    (alone,) = fr.fit(model, whole_batches, epochs=4, callbacks=[callback], seeds=[4])
    assert_same(alone, several[4])


def test_a_seed_of_fit_is_what_its_model_would_have_become_alone(whole_batches: Dataset) -> None:
    model = small()
    several = fr.fit(model, whole_batches, epochs=2, seeds=[0, 5])
    keras.utils.set_random_seed(5)
    copy = keras.models.clone_model(model)
    copy.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    alone = fr.fit(copy, whole_batches, epochs=2, seed=5)
    assert_same(alone, several[1])
    assert alone.evaluate().scores == several.evaluate()[1].scores


def test_an_iterable_cannot_be_shared_by_seeds(digits: Dataset) -> None:
    class Batches:
        def __iter__(self) -> Iterator[tuple[Any, Any]]:
            yield digits.train.x[:32], digits.train.y[:32]

    with pytest.raises(InputError, match=r"cannot share an iterable of batches\. Give arrays"):
        fr.fit(small(), Batches(), seeds=2)
