from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.metrics import log_loss

from fittingroom.classical import kept_estimator, plain_objects
from fittingroom.classical.fitting import FittedEstimator, features_of, fit_estimator
from fittingroom.classical.kept_estimator import estimator_bytes, estimator_of
from fittingroom.errors import InputError, ModelError, RecipeError, RunError
from fittingroom.recipes.classical_recipes import CLASSICAL_RECIPES
from fittingroom.recipes.named import find_recipe
from fittingroom.recipes.recipe import Recipe

IMAGES = np.random.default_rng(0).integers(0, 17, (90, 8, 8), dtype=np.uint8)
LABELS = np.repeat(np.arange(3), 30).astype(np.int32)
IMAGES[LABELS == 1, :4] = 0
IMAGES[LABELS == 2, :, :4] = 0
UNSEEN = np.random.default_rng(1).integers(0, 17, (20, 8, 8), dtype=np.uint8)
OTHERS = (
    "calibration:CalibratedClassifierCV(GaussianNB())",
    "ensemble:VotingClassifier([('a', GaussianNB()), ('b', DecisionTreeClassifier(max_depth=3))])",
    "ensemble:AdaBoostClassifier(n_estimators=3)",
    "ensemble:BaggingClassifier(n_estimators=3, max_features=0.5)",
    "ensemble:GradientBoostingClassifier(n_estimators=2)",
    "pipeline:make_pipeline(StandardScaler(), PCA(5), RandomForestClassifier(n_estimators=3))",
)


def fitted(recipe: Recipe, labels: np.ndarray = LABELS, classes: int = 3, **options: Any) -> FittedEstimator:
    return fit_estimator(recipe, IMAGES, labels.astype(np.int32), classes, 4, scale=16.0, **options)


@pytest.mark.parametrize("name", [*CLASSICAL_RECIPES, *OTHERS])
def test_what_is_kept_answers_to_the_bit_as_what_was_fitted_and_the_same_fit_has_the_same_bytes(name: str) -> None:
    recipe = find_recipe(name) if name in CLASSICAL_RECIPES else Recipe(estimator=f"sklearn.{name}")
    first = fitted(recipe, validation=(IMAGES[::3], LABELS[::3]))
    content = first.to_bytes()
    assert content is not None, first.why_not_kept
    assert content == fitted(recipe, validation=(IMAGES[::3], LABELS[::3])).to_bytes()
    assert skops.io.get_untrusted_types(data=content) == []
    answers = first.log_probabilities(UNSEEN)
    again = FittedEstimator.from_bytes(recipe, content, 3, scale=16.0, image_shape=(8, 8))
    assert np.array_equal(answers, again.log_probabilities(UNSEEN))
    assert answers.dtype == np.float32
    assert np.allclose(np.exp(answers).sum(axis=1), 1, atol=1e-5)


def test_probabilities_are_scikit_learns_and_so_is_the_loss() -> None:
    one = fitted(find_recipe("sklearn:decision-tree"))
    labels = np.arange(20).astype(np.int32) % 3
    answers = one.log_probabilities(UNSEEN)
    given = one.estimator.predict_proba(features_of(UNSEEN, "pixels", 16.0))
    assert -answers[np.arange(20), labels].mean() == pytest.approx(log_loss(labels, given), rel=1e-5)
    assert one.zeros_note(answers, answers.argmax(axis=1).astype(np.int32)) is None
    zeros = int((given[np.arange(20), labels] == 0).sum())
    assert zeros > 0
    assert f"For {zeros} of 20 images" in (one.zeros_note(answers, labels) or "")


def test_a_class_without_training_images_and_two_classes_alone_are_answered() -> None:
    for name in ("sklearn:svc", "sklearn:linear-svc", "sklearn:random-forest", "sklearn:naive-bayes"):
        lacking = fitted(find_recipe(name), labels=np.where(LABELS == 1, 2, LABELS), classes=4)
        answers = lacking.log_probabilities(UNSEEN)
        assert answers.shape == (20, 4)
        assert set(answers.argmax(axis=1)) <= {0, 2}
        assert np.isfinite(answers).all()


def test_weights_of_classes_count_or_are_refused() -> None:
    uneven = np.where(np.arange(90) < 80, 0, 1)
    for recipe in (
        find_recipe("sklearn:logistic"),
        Recipe(estimator="sklearn.naive_bayes:GaussianNB(var_smoothing=9)"),
    ):
        plain, weighed = (
            fitted(recipe.changed(class_weight=weight), labels=uneven, classes=2).log_probabilities(UNSEEN)
            for weight in (None, "balanced")
        )
        assert weighed[:, 1].mean() > plain[:, 1].mean()
    with pytest.raises(RecipeError, match="KNeighborsClassifier cannot weigh classes"):
        fitted(find_recipe("sklearn:knn").changed(class_weight="balanced"))


def test_a_failure_is_told_in_words() -> None:
    with pytest.raises(
        ModelError, match="QuadraticDiscriminantAnalysis cannot be fitted to 90 images with 64 features"
    ):
        fitted(
            Recipe(estimator="sklearn.discriminant_analysis:QuadraticDiscriminantAnalysis()"),
            labels=np.arange(90) // 85,
        )
    with pytest.raises(ModelError, match=r"images have the shape \(7, 7\); expected \(8, 8\)"):
        fitted(find_recipe("sklearn:knn")).log_probabilities(UNSEEN[:, 1:, 1:])


def test_what_skops_would_need_trust_for_or_is_too_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    unkept = fitted(Recipe(estimator="sklearn.gaussian_process:GaussianProcessClassifier(optimizer=None)"))
    assert unkept.to_bytes() is None
    assert "which skops does not read without trust" in str(unkept.why_not_kept)
    monkeypatch.setattr(kept_estimator, "MOST_BYTES", 100)
    assert "at most 0 MB are kept" in str(fitted(find_recipe("sklearn:naive-bayes")).why_not_kept)


def test_a_file_that_would_fill_the_memory_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    content = fitted(find_recipe("sklearn:naive-bayes")).to_bytes()
    assert content is not None
    monkeypatch.setattr(kept_estimator, "MOST_UNPACKED", 1000)
    with pytest.raises(RunError, match="so it is not read"):
        estimator_of(content)


def test_scores_are_computed_once_and_without_validation_that_is_said() -> None:
    recipe = find_recipe("sklearn:linear-svc")
    first = fitted(recipe, validation=(UNSEEN, LABELS[:20]))
    assert np.array_equal(first.log_probabilities(UNSEEN), first.log_probabilities(UNSEEN.copy()))
    assert "fitted on 20 validation images" in first.notes[-1]
    assert "fitted on 90 training images. On other images they are too sure." in fitted(recipe).notes[-1]
    votes = fitted(Recipe(estimator="sklearn.svm:SVC(C=0.01, decision_function_shape='ovo')"))
    assert np.isfinite(votes.log_probabilities(UNSEEN)).all()


TREES = ("sklearn:random-forest", "sklearn:hist-gradient-boosting", OTHERS[3], OTHERS[4])


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize(("field", "value"), [("child", 10**6), ("child", 0), ("feature", 10**6), ("feature", 64)])
def test_a_forged_tree_is_refused_before_scikit_learn_follows_it(name: str, field: str, value: int) -> None:
    recipe = find_recipe(name) if name in CLASSICAL_RECIPES else Recipe(estimator=f"sklearn.{name}")
    kept = plain_objects.as_plain(fitted(recipe).estimator, 16.0)
    nodes = kept["nodes" if "nodes" in kept else "predictor_nodes"]
    names = {"child": ("left_child", "left"), "feature": ("feature", "feature_idx")}[field]
    column = next(one for one in names if one in nodes.dtype.names)
    inner = nodes["left_child"] != -1 if "left_child" in nodes.dtype.names else nodes["is_leaf"] == 0
    nodes[column][np.flatnonzero(inner)[0]] = value
    with pytest.raises(RunError, match=r"the kept estimator is damaged: a (node|tree)"):
        plain_objects.from_plain(kept)


def test_an_ensemble_that_takes_fewer_features_than_its_trees_is_refused() -> None:
    forest = fitted(find_recipe("sklearn:random-forest")).estimator
    forest.n_features_in_ = 9
    content, _ = estimator_bytes(forest, 16.0, {})
    assert content is not None
    with pytest.raises(RunError, match="a tree asks for more features than there are"):
        estimator_of(content)


def test_any_damage_is_a_run_error_and_nothing_else() -> None:
    content = fitted(find_recipe("sklearn:decision-tree")).to_bytes()
    assert content is not None
    entries = {
        name: zipfile.ZipFile(io.BytesIO(content)).read(name)
        for name in zipfile.ZipFile(io.BytesIO(content)).namelist()
    }
    random = np.random.default_rng(5)
    for _ in range(60):
        name = str(random.choice(sorted(entries)))
        damaged = bytearray(entries[name])
        damaged[int(random.integers(len(damaged)))] ^= int(random.integers(1, 256))
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive:
            for one, data in entries.items():
                archive.writestr(one, bytes(damaged) if one == name else data)
        try:
            read = FittedEstimator.from_bytes(
                find_recipe("sklearn:decision-tree"), written.getvalue(), 3, scale=16.0, image_shape=(8, 8)
            )
            assert not np.isnan(read.log_probabilities(UNSEEN)).any()
        except InputError:
            pass
