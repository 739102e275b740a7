"""A classifier of scikit-learn is an ordinary run: what it keeps, what it answers, what it cannot do."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.api.run import Run
from fittingroom.data.dataset import Dataset, Part
from fittingroom.errors import InputError, Interrupted, RunError
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.place import is_run
from fittingroom.training import classical_job
from fittingroom.training.fitted_seed import FittedSeed

BAYES, TREE = "sklearn.naive_bayes:GaussianNB(var_smoothing=0.01)", "sklearn.tree:DecisionTreeClassifier(max_depth=6)"
OWN = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Means(ClassifierMixin, BaseEstimator):
    def __init__(self, power=2):
        self.power = power
    def fit(self, x, y):
        self.classes_ = np.unique(y)
        self.means_ = np.stack([x[y == one].mean(axis=0) for one in self.classes_])
        return self
    def decision_function(self, x):
        return -(np.abs(x[:, None] - self.means_) ** self.power).sum(axis=2)
    def predict(self, x):
        return self.classes_[self.decision_function(x).argmax(axis=1)]
"""


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return fr.load("digits")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("classical")


@pytest.fixture(scope="module")
def bayes(digits: Dataset, folder: Path) -> Run:
    return fr.train(digits, estimator=BAYES, out=folder / "bayes")


@pytest.fixture(scope="module")
def trees(digits: Dataset, folder: Path) -> Run:
    return fr.train(digits, estimator=TREE, seeds=2, out=folder / "trees")


@pytest.fixture(scope="module")
def own(digits: Dataset, folder: Path) -> Run:
    (folder / "own.py").write_text(OWN)
    return fr.train(digits, estimator=f"{folder / 'own.py'}:Means()", trust=True, out=folder / "own")


def validation_of(dataset: Dataset) -> Part:
    assert dataset.validation is not None
    return dataset.validation


def test_it_answers_from_its_folder_as_it_did_when_it_was_fitted(bayes: Run, digits: Dataset) -> None:
    part = validation_of(digits)
    kept = bayes.outcomes
    assert kept is not None
    assert kept.kept is not None
    logs = fr.open_run(bayes.path).log_probabilities(part.images)
    assert np.array_equal(-logs[np.arange(len(part)), part.labels], kept.kept.loss)
    assert np.array_equal(logs.argmax(axis=1), kept.kept.predicted)
    assert bayes.record.validation is not None
    assert bayes.record.validation.accuracy == (logs.argmax(axis=1) == part.labels).mean()
    assert list(bayes.history.epoch) == [0]
    assert not bayes.record.has_epochs
    assert type(bayes.estimator).__name__ == "GaussianNB"


def test_replay_gives_the_same_bits(bayes: Run, trees: Run) -> None:
    again = fr.replay(bayes.path)
    assert again.same
    assert "the fitted classifier" in again.seeds[0].sentence
    assert fr.replay(trees.path).same


def test_seeds_that_cannot_differ_are_said_to_be_one(digits: Dataset, trees: Run, tmp_path: Path) -> None:
    run = fr.train(digits, estimator=BAYES, seeds=3, out=tmp_path / "run")
    assert "nothing in it is random" in run[2].record.notes[-1]
    assert run.validation is not None
    assert run.validation["accuracy"].interval is None
    assert not any("random" in note for one in trees for note in one.record.notes)
    assert trees.validation is not None
    assert trees.validation["loss"].interval is not None


def test_a_test_score_is_a_look(bayes: Run, runs_dir: Path) -> None:
    result = fr.open_run(bayes.path).evaluate("to see that it is counted")
    assert result.look == 1
    assert result.accuracy > 0.7


def test_runs_are_compared_and_explained_without_epochs(bayes: Run, trees: Run) -> None:
    assert fr.compare([bayes, trees]).pairs
    explained = bayes.explain()
    gap, record = explained.facts["stopping"]["accuracy_gap"], bayes.record
    assert gap["interval"][0] < gap["gap"] < gap["interval"][1]
    assert record.validation is not None
    assert record.validation.interval is not None
    low, high = record.validation.interval
    assert gap["interval"][1] - gap["interval"][0] > high - low  # the scored training images are a sample too
    words = str(explained)
    assert "without epochs" in words
    assert "epoch 1" not in words
    assert "after epoch" not in str(trees.explain())


def test_what_only_networks_have_is_refused_in_words(bayes: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not a network, so there is no Keras model\. run\.estimator is"):
        _ = bayes.model
    with pytest.raises(InputError, match=r"no format that is written here holds one.*serve"):
        bayes.export("onnx", tmp_path / "model.onnx")
    with pytest.raises(InputError, match="epochs = 3"):
        fr.train("digits", estimator=BAYES, epochs=3)


def test_a_damaged_classifier_is_refused(bayes: Run, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(bayes.path, tmp_path / "copy"))
    file = next(copy.rglob("weights.safetensors"))
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        fr.open_run(copy).estimator  # noqa: B018


def test_what_cannot_be_kept_is_fitted_again_if_it_is_trusted(own: Run, digits: Dataset, folder: Path) -> None:
    assert any("is not kept" in note for note in own.record.notes)
    assert own.outcomes is not None
    with pytest.raises(RunError, match=r"nothing of it was run.*--trust"):
        fr.open_run(own.path).predict(digits.train.images[:3])
    answers = fr.open_run(own.path, trust=True).predict(digits.train.images[:3])
    assert np.array_equal(answers, own.predict(digits.train.images[:3]))
    assert fr.replay(own.path, trust=True).same
    with pytest.raises(InputError, match=r"needs trust .*nothing of it was run"):
        fr.train(digits, estimator=f"{folder / 'own.py'}:Means()")
    (folder / "own.py").write_text(OWN.replace("power=2", "power=1"))
    with pytest.raises(RunError, match="gone or has changed"):
        fr.replay(own.path, trust=True)
    (folder / "own.py").write_text(OWN)


def test_ctrl_c_ends_a_fit_at_once_and_leaves_nothing(digits: Dataset, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\n" + OWN.replace("return self\n", "time.sleep(60)\n        return self\n", 1)
    )
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(Interrupted, match="no epochs to continue from"):
        fr.train(digits, estimator=f"{tmp_path / 'slow.py'}:Means()", trust=True, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_resume_fits_what_is_missing_and_no_more(
    digits: Dataset, trees: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[int] = []

    def once(self: classical_job.ClassicalJob, seed: int) -> FittedSeed:
        fitted.append(seed)
        if fitted == [0, 1]:
            raise Interrupted("interrupted by Ctrl-C", None)
        return fit(self, seed)

    fit = classical_job.ClassicalJob._fit
    monkeypatch.setattr(classical_job.ClassicalJob, "_fit", once)
    with pytest.raises(Interrupted, match=r"1 seed of 2 .*--resume") as stopped:
        fr.train(digits, estimator=TREE, seeds=2, out=tmp_path / "run")
    assert stopped.value.path is not None
    assert is_run(stopped.value.path)
    run = fr.resume(tmp_path / "run")
    assert fitted == [0, 1, 1]
    for one, other in zip(run, trees, strict=True):
        assert one.record.weights_sha256 == other.record.weights_sha256
        assert SeedFiles(one.path).history() == SeedFiles(other.path).history()


@pytest.mark.parametrize("case", ["two classes", "no validation", "colours"])
def test_other_data_do(case: str, digits: Dataset, tmp_path: Path) -> None:
    images, labels = digits.train.images, digits.train.labels
    if case == "two classes":
        images, labels = images[labels < 2], labels[labels < 2]
    elif case == "colours":
        images = np.repeat(np.asarray(images)[..., None], 3, axis=-1)
    np.savez(tmp_path / "data.npz", x_train=images * np.uint8(15), y_train=labels)
    run = fr.train(
        f"npz:{tmp_path / 'data.npz'}",
        "sklearn:knn",
        validation=0 if case == "no validation" else 100,
        out=tmp_path / "run",
    )
    assert fr.open_run(run.path).predict(np.asarray(images[:3])).shape == (3, 2 if case == "two classes" else 10)
    assert (run.record.validation is None) == (case == "no validation")
    assert run.record.train.accuracy is None
    assert dataclasses.replace(run.record, notes=()).has_epochs is False
    assert str(run.explain())
