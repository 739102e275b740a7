"""One training has one validation accuracy and one validation loss, whoever tells them and however it was trained."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom as fr
from fittingroom.data.dataset import Dataset
from fittingroom.errors import DivergedError, Interrupted, RunError
from fittingroom.recipes.named import NAMED
from fittingroom.runs.layout import read_layout
from tests.cli.conftest import Command
from tests.engine import models

pytestmark = pytest.mark.usefixtures("quick_compiler", "runs_folder")

Numbers = tuple[float, float]
"""Accuracy and mean cross-entropy, of one seed or as the mean of several."""


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """A few hundred real images."""
    data = fr.load("digits")
    train = dataclasses.replace(data.train, images=data.train.images[:300], labels=data.train.labels[:300])
    return dataclasses.replace(data, train=train)


class Interrupting(keras.callbacks.Callback):
    """Ctrl-C in the third epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt


class Spoiling(keras.callbacks.Callback):
    """Weights that are not finite from the third epoch on."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            self.model.set_weights([np.full_like(one, np.nan) for one in self.model.get_weights()])


class Restoring(keras.callbacks.Callback):
    """What a callback does that puts weights of its own in place when training ends."""

    def on_train_end(self, logs: Any = None) -> None:
        self.model.set_weights([0.5 * one for one in self.model.get_weights()])


def best_weights() -> keras.callbacks.Callback:
    return keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)


def restless(**settings: Any) -> keras.Model:
    """A model whose validation loss goes up and down."""
    return models.small(optimizer=keras.optimizers.SGD(1.5, **settings))


def fitted(model: keras.Model, data: Dataset, *callbacks: keras.callbacks.Callback, **options: Any) -> Path:
    options = {"epochs": 5, "verbose": 0, "seed": 0, **options}
    try:
        path: Path = fr.fit(model, data, callbacks=list(callbacks), **options).path
        return path
    except (Interrupted, DivergedError) as ended:
        return next(Path(word.rstrip(".;")) for word in str(ended).split() if "runs-of-module" in word)


def weighted(data: Dataset) -> Path:
    """Plain arrays, and weights of the validation images, which the compiled loss counts."""
    assert data.validation is not None
    weights = np.linspace(0, 2, len(data.validation))
    model = models.small(loss="sparse_categorical_crossentropy")
    held_out = (data.validation.x, data.validation.y, weights)
    return fr.fit(model, data.train.x, data.train.y, validation_data=held_out, epochs=2, verbose=0).path


def smoothed(data: Dataset) -> Path:
    """A compiled loss that is not the cross-entropy: one-hot labels that are smoothed, and a penalty on the weights."""
    assert data.validation is not None
    hidden = lambda: [keras.layers.Dense(8, "relu", kernel_regularizer="l2")]  # noqa: E731
    model = models.small(hidden, loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1))
    one_hot = np.eye(10, dtype=np.float32)
    held_out = (data.validation.x, one_hot[data.validation.y])
    return fr.fit(model, data.train.x, one_hot[data.train.y], validation_data=held_out, epochs=2, verbose=0).path


OWN: Mapping[str, Callable[[Dataset], Path]] = {
    "plain": lambda data: fitted(restless(), data),
    "best weights": lambda data: fitted(restless(), data, best_weights(), epochs=9),
    "best weights of seeds": lambda data: fitted(restless(), data, best_weights(), epochs=9, seeds=2),
    "EMA": lambda data: fitted(restless(use_ema=True, ema_momentum=0.9), data),
    "swapped EMA": lambda data: fitted(
        restless(use_ema=True, ema_momentum=0.9), data, keras.callbacks.SwapEMAWeights()
    ),
    "callback": lambda data: fitted(restless(), data, Restoring()),
    "validated seldom": lambda data: fitted(restless(), data, validation_freq=2),
    "interrupted": lambda data: fitted(restless(use_ema=True, ema_momentum=0.9), data, Interrupting()),
    "diverged": lambda data: fitted(restless(), data, Spoiling()),
    "regularized": lambda data: fitted(models.functional(), data),
    "smoothed": smoothed,
    "weighted": weighted,
}


@pytest.fixture(scope="module")
def trained(runs_folder: Path, digits: Dataset) -> Mapping[str, Path]:
    """The folder of every training that is not told by `train` itself."""
    return {name: train(digits) for name, train in OWN.items()}


@pytest.fixture
def all_told(command: Command) -> Callable[[Path, Path], dict[str, Numbers]]:
    """Who tells what of a run: accuracy and loss by the name of the teller."""

    def told(path: Path, other: Path) -> dict[str, Numbers]:
        several = len(read_layout(path).seeds) > 1
        shown, explained = command("show", path, "--json").json, command("explain", path, "--json").json
        (listed,) = [one for one in command("runs", "--json").json["runs"] if one["run"] == str(path)]
        compared = command("compare", path, other, "--json").json["runs"][0]
        found = {
            "show": _numbers(shown["validation"]),
            "runs": _numbers(listed["validation"]),
            "explain": _numbers(explained["results"]["validation"]),
            "explain, of its seeds": _numbers(explained["class_spreads"]),
            "compare": (compared["accuracy"], compared["loss"]),
        }
        example = explained["per_seed"][explained["example"]["index"]]
        if not several:
            found["explain, of its classes"] = explained["classes"]["accuracy"], example["shown"]["loss"]
            found["explain, of its confidence"] = (
                explained["reliability"]["accuracy"],
                example["shown"]["calibration"]["loss"],
            )
        text = command("show", path).out
        (line,) = re.findall(r"^mean .*$" if several else r"^validation .*$", text, re.MULTILINE)
        share = r"(\d+\.\d\d)%" if several else r"^validation +(\d+\.\d)%"
        found["show, in words"] = _rounded(line, share, r"\s(\d+\.\d{4})\b")
        found["explain, in words"] = _rounded(command("explain", path).out, *RESULT)
        found["report"] = _rounded(fr.report(path).html, *RESULT)
        card = fr.open_run(path)._repr_html_().partition(">validation<")[2].partition("</tr>")[0]
        found["card"] = _rounded(card, r"accuracy (\d+\.\d)%", r"loss ([\d.]+)")
        return found

    return told


RESULT = (r"(\d+\.\d)% right, a loss of", r"right, a loss of\s+([\d.]+) nats")


def _numbers(facts: Mapping[str, Any]) -> Numbers:
    accuracy, loss = facts["accuracy"], facts["loss"]
    return (accuracy["mean"], loss["mean"]) if isinstance(accuracy, dict) else (accuracy, loss)


def _rounded(text: str, accuracy: str, loss: str) -> Numbers:
    """The last numbers that a text tells, as it rounds them: the validation part comes after the training part."""
    flat = re.sub(r"\s+", " ", text) if "right" in loss else text
    return float(re.findall(accuracy, flat)[-1]) / 100, float(re.findall(loss, flat)[-1])


def disagreements(told: Mapping[str, Numbers]) -> list[str]:
    """Who tells something else than the first; what is rounded may differ by half of its last digit."""
    first = next(iter(told.values()))
    different = []
    for name, numbers in told.items():
        words = name in {"show, in words", "explain, in words", "report", "card"}
        tolerance = (5.001e-4, 5.001e-4) if words else (0.0, 0.0)
        if any(abs(one - other) > most for one, other, most in zip(numbers, first, tolerance, strict=True)):
            different.append(f"{name} tells {numbers}, not {first}")
    return different


@pytest.mark.parametrize("how", OWN)
def test_a_model_of_ones_own_has_one_set_of_numbers(
    how: str, trained: Mapping[str, Path], digits: Dataset, all_told: Callable[[Path, Path], dict[str, Numbers]]
) -> None:
    path = trained[how]
    found = all_told(path, next(one for one in trained.values() if one != path))
    assert disagreements(found) == []
    assert as_answered(path, digits) == pytest.approx(found["show"], rel=1e-5)


FROM_SCRATCH = [name for name, entry in NAMED.items() if entry.recipe.backbone is None]
"""The named recipes but those with a backbone, whose features of so many images take a minute."""


def narrow(recipe: fr.Recipe) -> fr.Recipe:
    """The recipe with all that its numbers may depend on, and the sizes that compile in a second."""
    convolutions = ((2,),) if recipe.convolutions else ()
    hidden = tuple(8 for _ in recipe.hidden)
    return recipe.changed(epochs=2, convolutions=convolutions, hidden=hidden, augment=recipe.augment[:1])


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_a_named_recipe_has_one_set_of_numbers(
    name: str, trained: Mapping[str, Path], digits: Dataset, all_told: Callable[[Path, Path], dict[str, Numbers]]
) -> None:
    check_recipe(narrow(NAMED[name].recipe), trained["plain"], digits, all_told)


@pytest.mark.slow
@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_a_named_recipe_of_its_whole_size_has_one_set_of_numbers(
    name: str, trained: Mapping[str, Path], digits: Dataset, all_told: Callable[[Path, Path], dict[str, Numbers]]
) -> None:
    check_recipe(NAMED[name].recipe.changed(epochs=2), trained["plain"], digits, all_told)


def test_seeds_of_a_recipe_that_averages_over_views_have_one_set_of_numbers(
    trained: Mapping[str, Path], digits: Dataset, all_told: Callable[[Path, Path], dict[str, Numbers]]
) -> None:
    recipe = fr.Recipe(hidden=(8,), epochs=2, test_views=("flip", "shift 1"))
    runs = fr.train(digits, recipe, seeds=3)
    found = all_told(runs.path, trained["plain"])
    assert disagreements(found) == []
    assert as_answered(runs.path, digits) == pytest.approx(found["show"], rel=1e-5)


def check_recipe(
    recipe: fr.Recipe, other: Path, digits: Dataset, all_told: Callable[[Path, Path], dict[str, Numbers]]
) -> None:
    run = fr.train(digits, recipe)
    found = all_told(run.path, other)
    assert disagreements(found) == []
    tolerance = 1e-5 if recipe.precision == "float32" else 2e-2
    assert as_answered(run.path, digits) == pytest.approx(found["show"], rel=tolerance)
    kept = run.outcomes.kept if run.outcomes is not None else None
    assert kept is not None
    assert (kept.epoch, kept.views) == (1, 6 if recipe.test_views else 1)


def as_answered(path: Path, digits: Dataset) -> Numbers:
    """What the answers of the run, or the mean of its seeds, come to on the validation images."""
    assert digits.validation is not None
    found = []
    for run in fr.open_run(path):
        images = digits.validation.x if run.record.data.load is None else digits.validation.images
        logs = run.log_probabilities(images)
        labels = digits.validation.labels
        found.append(((logs.argmax(axis=1) == labels).mean(), -logs[np.arange(len(labels)), labels].mean()))
    accuracy, loss = np.mean(found, axis=0)
    return float(accuracy), float(loss)


def test_each_reader_that_differs_is_found(
    trained: Mapping[str, Path], all_told: Callable[[Path, Path], dict[str, Numbers]]
) -> None:
    found = all_told(trained["plain"], trained["EMA"])
    assert len(found) == 11
    for name, (accuracy, loss) in found.items():
        others = {other: numbers for other, numbers in found.items() if other != name}
        assert disagreements({**others, name: (accuracy + 0.002, loss)})
        assert disagreements({**others, name: (accuracy, loss + 0.002)})


def kinds_of_weights(path: Path) -> Iterator[int | None]:
    for run in fr.open_run(path):
        outcomes = run.outcomes
        assert outcomes is not None
        assert outcomes.kept is not None
        yield outcomes.kept.epoch


def test_whose_weights_were_kept_is_known(trained: Mapping[str, Path], command: Command) -> None:
    (best,) = kinds_of_weights(trained["best weights"])
    losses = fr.open_run(trained["best weights"]).history["val_loss"]
    assert best == int(np.argmin(losses)) < len(losses) - 1
    # SwapEMAWeights validates the averaged weights after each epoch; the optimizer's own averaging does not.
    known = {"plain": 4, "EMA": None, "swapped EMA": 4, "callback": None, "diverged": 1, "validated seldom": 4}
    assert {how: next(kinds_of_weights(trained[how])) for how in known} == known
    assert "come from no single epoch" in re.sub(r"\s+", " ", command("explain", trained["EMA"]).out)


def test_a_compiled_loss_that_is_not_the_cross_entropy_is_named_as_such(
    trained: Mapping[str, Path], command: Command
) -> None:
    for how in ("regularized", "weighted", "smoothed"):
        run = fr.open_run(trained[how])
        validation = run.record.validation
        assert validation is not None
        assert validation.compiled_loss == pytest.approx(run.history["val_loss"][-1])
        assert validation.compiled_loss != pytest.approx(validation.loss, rel=1e-3)
        for shown in (command("show", run.path).out, command("explain", run.path).out):
            assert f"{validation.compiled_loss:.4f}" in shown
            assert "cross-entropy" in shown


def test_a_run_on_plain_arrays_has_no_test_set_whoever_tells(trained: Mapping[str, Path], command: Command) -> None:
    path = trained["weighted"]
    for told in (command("show", path).out, command("explain", path).out, fr.report(path).html):
        assert "This run has no test set" in re.sub(r"\s+", " ", told)
        assert not re.search(r"still sealed|0 sealed|not been opened|was not opened", told)
    assert ">test set</th><td" in (card := fr.open_run(path)._repr_html_())
    assert ">none</td>" in card
    assert "sealed" not in card
    assert "still sealed" in fr.report(trained["plain"]).html
    assert ">sealed</td>" in fr.open_run(trained["plain"])._repr_html_()


def test_a_model_that_gives_nan_answers_with_a_sentence_and_opens_no_test_set(
    command: Command, digits: Dataset
) -> None:
    deep = fr.Recipe(name="huge", hidden=(64,) * 6, learning_rate=1e9, batch_size=300, epochs=1)
    run = fr.train(digits, deep)
    assert run.record.validation is not None
    assert run.record.validation.loss is None
    sentence = r"gives NaN for 120 of 120 validation images: it diverged, and its accuracy says nothing"
    for arguments in (("show", run.path), ("runs",)):
        assert re.search(sentence, str(command(*arguments, "--json").json))  # strict JSON
        assert re.search(sentence, shown := command(*arguments).out)
        assert "not finite" in shown
        assert "nan" not in shown
    assert re.search(sentence, run._repr_html_())
    good = fr.train(digits, fr.Recipe(name="small", hidden=(8,), epochs=1))
    with pytest.raises(RunError, match=rf"cannot be compared\. The model {sentence}"):
        fr.compare([good, run])
    for _ in range(2):  # nothing was kept that the second time stumbles over
        with pytest.raises(RunError, match=r"the model gives NaN for 3 of 3 images, .* smaller learning rate"):
            run.answer(digits.train.images[:3])
    for arguments in (("evaluate", run.path), ("explain", run.path), ("report", run.path)):
        done = command(*arguments)
        assert done.status == 2
        assert "nan" not in done.out.lower()
        assert re.search("NaN for 120 of 120 images|120 of 120 validation images never have a finite loss", done.err)
    assert run.record.looks == ()
