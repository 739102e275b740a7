"""Answers of a run: calibrated, with a set and a verdict, the same whoever asks, and from whichever folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import fittingroom as fr
from fittingroom.answers.judgement import Answer, Judgement
from fittingroom.answers.out_of_distribution import NeighbourDetector, hog_features
from fittingroom.answers.recalibration import Conformal, at_temperature
from fittingroom.answers.stored import JUDGEMENT
from fittingroom.data.dataset import Dataset
from fittingroom.errors import DataError, InputError, RunError, StorageError
from fittingroom.evaluation.reliability import Reliability
from tests.engine import models

pytestmark = pytest.mark.usefixtures("quick_compiler")

TINY = fr.Recipe(name="tiny", hidden=(16,), epochs=3, batch_size=64)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run, to be read only."""
    return fr.train("digits", TINY, out=tmp_path_factory.mktemp("trained") / "run").path


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """The folder of a run of which no answer was asked."""
    path = Path(shutil.copytree(trained, tmp_path / "copy"))
    (path / JUDGEMENT.name).unlink(missing_ok=True)
    return path


def same(some: list[Answer], others: list[Answer]) -> bool:
    return [vars(one) | {"probabilities": one.probabilities.tolist()} for one in some] == [
        vars(other) | {"probabilities": other.probabilities.tolist()} for other in others
    ]


def test_answers_rest_on_the_validation_images_and_are_kept_in_the_run(copied: Path, digits: Dataset) -> None:
    run, held_out = fr.open_run(copied), digits.validation
    assert held_out is not None
    images = digits.train.images[:20]
    answers = run.answer(images)
    assert (copied / JUDGEMENT.name).is_file()
    expected = Judgement.of(
        run.log_probabilities(held_out.images), held_out.labels, hog_features(held_out.images, 16.0)
    )
    told = expected.answers(run.log_probabilities(images), hog_features(images, 16.0), (digits.name, digits.classes))
    assert same(answers, told)
    assert same(fr.open_run(copied).answer(images), answers)


def test_what_is_kept_is_used_without_the_data(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = load_digits().images[:3].astype(np.uint8)
    answers = fr.open_run(copied).answer(images)
    monkeypatch.setattr(
        "fittingroom.runs.data_record.DataRecord.load_again", lambda *arguments: pytest.fail("the data were loaded")
    )
    assert same(fr.open_run(copied).answer(images), answers)


def test_predict_stays_as_the_model_has_it(copied: Path, digits: Dataset) -> None:
    run = fr.open_run(copied)
    before = run.predict(digits.train.images[:5])
    answers = run.answer(digits.train.images[:5])
    np.testing.assert_array_equal(run.predict(digits.train.images[:5]), before)
    assert [answer.label for answer in answers] == [digits.classes[index] for index in before.argmax(axis=1)]


def test_a_folder_that_cannot_be_written_answers_too(
    copied: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StorageError("the file system is read-only")

    expected = fr.open_run(copied).answer(digits.train.images[:5])
    (copied / JUDGEMENT.name).unlink()
    monkeypatch.setattr("fittingroom.answers.stored.FittedFile.write", full)
    assert same(fr.open_run(copied).answer(digits.train.images[:5]), expected)
    assert not (copied / JUDGEMENT.name).exists()


def test_what_is_kept_for_other_weights_is_fitted_again(copied: Path, digits: Dataset, tmp_path: Path) -> None:
    other = fr.train(digits, TINY, seed=1, out=tmp_path / "other")
    expected = other.answer(digits.train.images[:5])
    fr.open_run(copied).answer(digits.train.images[:5])
    shutil.copy(copied / JUDGEMENT.name, other.path / JUDGEMENT.name)
    assert same(fr.open_run(other.path).answer(digits.train.images[:5]), expected)


def test_damage_is_named_with_what_mends_it(copied: Path, digits: Dataset) -> None:
    fr.open_run(copied).answer(digits.train.images[:1])
    (copied / JUDGEMENT.name).write_bytes((copied / JUDGEMENT.name).read_bytes()[:1000])
    with pytest.raises(RunError, match=r"judgement\.npz is damaged.*Delete .*judgement\.npz"):
        fr.open_run(copied).answer(digits.train.images[:1])
    fr.open_run(copied).predict(digits.train.images[:1])
    (copied / JUDGEMENT.name).unlink()
    fr.open_run(copied).answer(digits.train.images[:1])


def test_a_larger_alpha_gives_smaller_sets(copied: Path, digits: Dataset) -> None:
    run, images = fr.open_run(copied), digits.train.images[:200]
    sizes = [sum(len(answer.set) for answer in run.answer(images, alpha)) for alpha in (0.02, 0.1, 0.3)]
    assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(InputError, match="alpha is 2"):
        run.answer(images, 2)


def test_images_of_another_shape_are_refused_before_anything_is_fitted(copied: Path) -> None:
    with pytest.raises(DataError, match=r"expected \(n, 8, 8\)"):
        fr.open_run(copied).answer(np.zeros((1, 28, 28), np.uint8))
    assert not (copied / JUDGEMENT.name).exists()


def test_a_users_own_model_answers_as_a_recipe_does(digits: Dataset) -> None:
    run = fr.fit(models.small(), digits, verbose=0)
    answers = run.answer(digits.train.images[:5])
    assert same(fr.open_run(run.path).answer(digits.train.images[:5]), answers)
    assert (run.path / JUDGEMENT.name).is_file()


def test_plain_arrays_leave_probabilities_and_sets_and_unlike_says_what_it_goes_by(digits: Dataset) -> None:
    x, y = digits.train.x, digits.train.y
    run = fr.fit(models.small(), x[:600], y[:600], validation_data=(x[600:], y[600:]), epochs=4, verbose=0)
    answers = run.answer(x[600:])
    refused = [answer for answer in answers if answer.unlike]
    covered = [str(label) in answer.set for answer, label in zip(answers, y[600:], strict=True)]
    assert 0.02 < len(refused) / len(answers) <= 0.05
    assert all("nothing else could be compared" in answer.why for answer in refused)
    assert np.mean(covered) == pytest.approx(0.9, abs=0.01)
    assert not (run.path / JUDGEMENT.name).exists()  # it costs nothing to read the outcomes again


def test_without_validation_the_model_is_taken_at_its_own_word_and_that_is_said() -> None:
    run = fr.train(fr.load("digits", validation=0), TINY)
    images = load_digits().images[:3].astype(np.uint8)
    for answer, row in zip(run.answer(images), run.predict(images), strict=True):
        np.testing.assert_allclose(answer.probabilities, row, atol=1e-6)
        assert len(answer.set) == 10
        assert "no images were held out" in answer.why


def test_seeds_answer_together_by_the_mean_of_their_probabilities(digits: Dataset) -> None:
    several = fr.train(digits, TINY, seeds=2)
    images, held_out = digits.train.images[:10], digits.validation
    assert held_out is not None
    answers = several.answer(images)
    logs = np.log(several.predict(held_out.images))
    expected = Judgement.of(logs, held_out.labels, hog_features(held_out.images, 16.0))
    for answer, row in zip(answers, at_temperature(np.log(several.predict(images)), expected.temperature), strict=True):
        np.testing.assert_allclose(answer.probabilities, np.exp(row), atol=1e-4)
    assert (several.path / JUDGEMENT.name).is_file()
    assert same(fr.open_run(several.path).answer(images), answers)


@pytest.fixture(scope="module")
def clothes(tmp_path_factory: pytest.TempPathFactory) -> tuple[fr.Run, Dataset]:
    """A small, quick run on Fashion-MNIST, and its data."""
    try:
        dataset = fr.load("fashion-mnist")
    except DataError:
        pytest.skip("Fashion-MNIST is not on this machine")
    recipe = fr.Recipe(name="quick", hidden=(64,), epochs=2, batch_size=256)
    return fr.train(dataset, recipe, out=tmp_path_factory.mktemp("clothes") / "run"), dataset


def enlarged_digits() -> np.ndarray:
    from PIL import Image

    digits = [Image.fromarray((image * 15.9).astype(np.uint8)) for image in load_digits().images[:300]]
    return np.stack([np.asarray(digit.resize((28, 28), Image.Resampling.BILINEAR)) for digit in digits])


@pytest.mark.parametrize("kind", ["digits", "noise", "faint noise", "flat", "negatives"])
def test_what_is_no_clothing_is_refused(kind: str, clothes: tuple[fr.Run, Dataset]) -> None:
    run, dataset = clothes
    generator = np.random.default_rng(0)
    pictures = {
        "digits": enlarged_digits(),
        "noise": generator.integers(0, 256, (300, 28, 28)),
        "faint noise": np.clip(generator.normal(0, 40, (300, 28, 28)), 0, 255),
        "flat": np.repeat(np.arange(256), 28 * 28).reshape(256, 28, 28),
        "negatives": 255 - dataset.train.images[:300],
    }
    answers = run.answer(pictures[kind].astype(np.uint8))
    assert np.mean([answer.unlike for answer in answers]) >= 0.95
    assert all("The closest class is" in answer.why for answer in answers if answer.unlike)


def test_half_of_the_validation_images_promises_for_the_other_half(clothes: tuple[fr.Run, Dataset]) -> None:
    run, dataset = clothes
    assert dataset.validation is not None
    images, labels = dataset.validation.images, dataset.validation.labels
    logs = run.log_probabilities(images)
    covered, alarms, errors = [], [], []
    generator = np.random.default_rng(0)
    for repetition in range(20):
        order = generator.permutation(len(labels))
        one, other = order[:2500], order[2500:]
        judgement = Judgement.of(logs[one], labels[one])
        scaled = at_temperature(logs[other], judgement.temperature)
        covered.append(Conformal(judgement.conformal.scores).sets(scaled)[np.arange(2500), labels[other]].mean())
        errors.append(Reliability.of(np.exp(scaled.max(axis=1)), scaled.argmax(axis=1) == labels[other]))
        if repetition < 2:
            rule = NeighbourDetector.of(hog_features(images[one], 255.0), labels[one], logs[one])
            alarms.append(rule.detect(hog_features(images[other], 255.0), logs[other])[0].mean())
    assert 0.89 <= np.mean(covered) <= 0.91
    # A perfectly calibrated model shows 0.013 on so few images.
    assert np.mean([found.error - found.floor for found in errors]) < 0.012
    assert np.mean(alarms) <= 0.06
