"""`run.explain()`, of one seed and of several: the words, and the facts that they rest on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import fittingroom
from fittingroom.errors import InputError
from fittingroom.reports.words.quotes import QUESTIONS
from tests.reports.builders import contents_of, course_of, written

pytestmark = pytest.mark.usefixtures("quick_compiler")

RISING = [0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A run whose loss rises while its accuracy stays."""
    return written(tmp_path / "made", contents_of(course_of(RISING)))


def test_a_run_explains_itself_in_words_and_numbers(path: Path) -> None:
    explanation = fittingroom.open_run(path).explain()
    assert all(question in str(explanation) for question in QUESTIONS.values())
    assert "Yes, judged by loss: validation loss was lowest after epoch 3" in str(explanation)
    assert max(map(len, str(explanation).splitlines())) <= 80
    assert explanation.facts["changes"]["best_loss"]["start"] == 3
    assert json.loads(json.dumps(explanation.to_dict(), allow_nan=False)) == explanation.to_dict()
    assert "made" in repr(explanation)


def test_seeds_explain_themselves_together(tmp_path: Path) -> None:
    runs = [contents_of(course_of([1.0, last]), seed) for seed, last in enumerate((4.0, 1.5, 2.0))]
    explanation = fittingroom.open_run(written(tmp_path / "three", *runs)).explain()
    assert explanation.facts["example"]["seed"] == 2
    assert str(explanation).startswith("What came out?\nThe models of 3 seeds get")


def test_a_change_of_ones_own_is_explained(path: Path) -> None:
    assert "From epoch 2 to 5 validation loss" in str(fittingroom.open_run(path).explain(2, 5))
    with pytest.raises(InputError, match="epoch 8 has no validation outcomes"):
        fittingroom.open_run(path).explain(end=8)


def test_a_notebook_shows_the_words_with_names_of_classes_escaped(tmp_path: Path) -> None:
    contents = contents_of(course_of(RISING))
    names = ("<img src=x onerror=alert(1)>", "<b>", "&amp;", "d")
    hostile = replace(contents.record, data=replace(contents.record.data, classes=names))
    run = fittingroom.open_run(written(tmp_path / "hostile", replace(contents, record=hostile)))
    html = run.explain()._repr_html_()
    assert "<img" not in html
    assert "<b>" not in html
    assert "<h4>Which classes get mixed up?</h4>" in html


def test_a_model_given_to_fit_is_explained_too(tmp_path: Path) -> None:
    import keras

    data = fittingroom.load("digits")
    model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss)  # without an accuracy metric
    explanation = fittingroom.fit(model, data, epochs=2).explain()
    assert explanation.facts["run"]["command"] is None
    assert explanation.facts["stopping"]["per_seed"][0]["gaps"] is not None
    assert explanation.facts["per_seed"][0]["validated_epochs"] == [1, 2]


def test_explaining_opens_no_test_set(path: Path, tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    fittingroom.open_run(path).explain()
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    assert not (tmp_path / "ledger.sqlite").exists()
