from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.classical.estimators import (
    check_estimator,
    draws_random_numbers,
    estimator_file,
    needs_trust,
    new_estimator,
    seed_matters,
)
from fittingroom.errors import InputError, ModelError, RecipeError, UnknownNameError
from fittingroom.experiments.plan import parse_vary, variants
from fittingroom.recipes.classical_recipes import CLASSICAL_RECIPES, search_space
from fittingroom.recipes.estimator_text import EstimatorText
from fittingroom.recipes.named import find_recipe
from fittingroom.recipes.recipe import Recipe


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("os:system('true')", "os is not a module of scikit-learn"),
        ("sklearn.svm:SVC(kernel=open('x'))", "no class"),
        ("sklearn.svm:__import__('os')", "is not the plain name of a class"),
        ("sklearn.svm:SVC().__class__", "is not a literal argument"),
        ("sklearn.svm:[SVC() for _ in range(3)]", "is not a literal argument"),
        ("sklearn.svm:SVC(**{'C': 1})", "it is not a literal argument"),
        ("sklearn.pipeline:Pipeline([('a', SVC())], memory='/tmp/x')", "it would read and write files of its own"),
        ("sklearn.ensemble:RandomForestClassifier(n_jobs=-1)", "a training uses one core"),
        ("sklearn._config:get_config()", "is not a public module"),
        ("sklearn.svm:SVC(lambda: 1)", "is not a literal argument"),
    ],
)
def test_what_is_more_than_scikit_learns_classes_with_literals_needs_trust_and_is_not_run(text: str, why: str) -> None:
    recipe = Recipe(estimator=text)
    with pytest.raises(InputError) as error:
        check_estimator(recipe)
    if why != "no class":
        assert why in str(error.value)
        assert needs_trust(recipe)


@given(st.text(max_size=60) | st.text("sklearn.v:SVC()[],= '1*{}_", max_size=40).map("sklearn.svm:".__add__))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    with suppress(RecipeError):
        read = EstimatorText.of(text)
        assert EstimatorText.of(read.text) == read
        read.why_trust_is_needed()


def test_spelling_does_not_count_and_settings_do() -> None:
    first = Recipe(estimator="sklearn.svm:SVC( C = 10,gamma= 'scale')")
    assert first.estimator == "sklearn.svm:SVC(C=10, gamma='scale')"
    assert first.digest() == Recipe(estimator='sklearn.svm:SVC(C=10, gamma="scale")', name="b").digest()
    assert first.digest() != Recipe(estimator="sklearn.svm:SVC(C=10, gamma='auto')").digest()
    assert first.digest() != first.changed(features="hog").digest()
    assert Recipe().changed(estimator="sklearn.pipeline:make_pipeline(PCA(20), SVC())").name == "SVC"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sklearn.svm:LinearSCV()", r"unknown class of sklearn.svm 'LinearSCV'. Did you mean 'LinearSVC'\?"),
        ("sklearn.smv:SVC()", r"unknown module 'sklearn.smv'. Did you mean 'sklearn.svm'\?"),
        ("sklearn.svm:SVC(c=1)", r"unexpected keyword argument 'c'. Its settings: C, kernel, degree"),
        ("sklearn.svm:SVR()", "SVR.* is not a classifier"),
        ("sklearn.decomposition:PCA()", r"is a PCA without predict\(\)"),
        ("sklearn.svm:SVC", r"'SVC' is not called: write SVC\(\)"),
    ],
)
def test_a_mistake_is_told_before_any_data_are_read(text: str, message: str) -> None:
    with pytest.raises((UnknownNameError, RecipeError, ModelError), match=message):
        check_estimator(Recipe(estimator=text))


def test_estimators_vary_in_an_experiment_and_commas_in_brackets_belong_to_them() -> None:
    text = "estimator=sklearn.svm:SVC(C=1, gamma='scale'),sklearn.pipeline:make_pipeline(PCA(5), SVC())"
    key, values = parse_vary(text)
    names = [one.recipe.name for one in variants([Recipe(name="course")], {key: values})]
    assert names == [f"estimator={value}" for value in values]
    assert parse_vary("hidden=[512,256],128") == ("hidden", ((512, 256), (128,)))


def test_an_own_estimator_counts_with_its_file_and_runs_only_with_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    (package / "nearest.py").write_text("from sklearn.neighbors import NearestCentroid\nK = 1\n")
    (tmp_path / "own.py").write_text("from sklearn.svm import SVC\ndef make(c): return SVC(C=c)\n")
    recipe = Recipe(estimator="mine.nearest:NearestCentroid()")
    before, record = recipe.digest(), estimator_file(recipe)
    assert record is not None
    assert Path(record.path) == package / "nearest.py"
    (package / "nearest.py").write_text("from sklearn.neighbors import NearestCentroid\nK = 2\n")
    assert recipe.digest() != before
    assert "mine" not in sys.modules
    own = Recipe(estimator="own.py:make(3)")
    with pytest.raises(RecipeError, match=r"nothing of it was run. If you trust it, add --trust"):
        new_estimator(own, 0, trust=False)
    assert new_estimator(own, 7, trust=True).get_params()["random_state"] == 7
    with pytest.raises(RecipeError, match="there is no module 'nowhere'"):
        Recipe(estimator="nowhere:Some()").digest()


def test_the_seed_goes_to_every_part_and_matters_where_numbers_are_drawn() -> None:
    text = "sklearn.ensemble:StackingClassifier([('a', RandomForestClassifier()), ('b', SVC(random_state=3))])"
    settings = new_estimator(Recipe(estimator=text), 11, trust=False).get_params()
    assert (settings["a__random_state"], settings["b__random_state"]) == (11, 3)
    same = {name for name in CLASSICAL_RECIPES if not seed_matters(find_recipe(name))}
    assert same == {
        f"sklearn:{name}"
        for name in ("knn", "logistic", "linear-svc", "svc", "naive-bayes", "lda", "qda", "hog-linear-svc", "hog-svc")
    }
    assert seed_matters(find_recipe("course"))
    assert draws_random_numbers(new_estimator(Recipe(estimator=text), 0, trust=False))


@pytest.mark.parametrize("name", [*CLASSICAL_RECIPES, "course", "cnn", "transfer"])
def test_every_method_has_as_many_settings_to_try_that_differ(name: str) -> None:
    recipe = find_recipe(name)
    tried = [recipe.changed(**settings) for settings in search_space(recipe)]
    assert len(tried) >= 3
    assert len({one.digest() for one in [recipe, *tried]}) == len(tried) + 1
    for one in tried:
        if one.estimator is not None:
            check_estimator(one)
