"""What a notebook shows of results: a card with their numbers and sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from tests.reports.pages import parsed

pytestmark = pytest.mark.usefixtures("quick_compiler")

SMALL = fr.Recipe(name="small <b>", hidden=(8,), epochs=1)


def shown(result: Any) -> str:
    """The card of a result, which is HTML that a browser reads as it was meant, with nothing hidden in it."""
    card: str = result._repr_html_()
    parsed(card)
    assert "<b><b>" not in card
    assert "object at 0x" not in card
    return card


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[fr.Run, fr.Run]:
    folder = tmp_path_factory.mktemp("carded")
    return (
        fr.train("digits", SMALL, seeds=2, out=folder / "a<i>"),
        fr.train("digits", SMALL.with_settings(["epochs=2"]), seeds=2, out=folder / "b"),
    )


def test_scores_of_the_test_set_are_shown_with_their_classes_and_looks(runs: tuple[fr.Run, fr.Run]) -> None:
    several = runs[0].evaluate()
    card = shown(several)
    assert "95% interval" in card
    assert "seed 1" in card
    assert "looks 1 to 2" in card
    assert several.reuse.sentence(several.accuracy, 360) in card
    assert "mostly taken for" in shown(several[0])


def test_comparisons_and_leaderboards_are_shown_with_what_they_prove(runs: tuple[fr.Run, fr.Run]) -> None:
    comparison = fr.compare(runs)
    card = shown(comparison)
    assert "a&lt;i&gt;" in card
    assert "a<i>" not in card
    assert all(note in card for note in comparison.notes)
    assert "95% interval" in shown(fr.leaderboard([run.path for run in runs]))


def test_answers_are_a_list_that_is_shown_with_their_images(runs: tuple[fr.Run, fr.Run]) -> None:
    images = fr.load("digits").train.images[:20]
    answers = runs[0].answer(images)
    assert isinstance(answers, list)
    assert len(answers) == 20
    card = shown(answers)
    assert card.count("data:image/png;base64,") == 12
    assert "and 8 more" in card
    assert answers[0].why in card
    assert answers[0].why in shown(answers[0])


def test_answers_to_arrays_of_any_shape_are_shown(tmp_path: Path) -> None:
    import keras

    arrays = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    model = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    run = fr.fit(model, arrays, np.arange(60) % 3, epochs=1, validation_split=0.2, out=tmp_path / "run", verbose=0)
    card = shown(run.answer(arrays[:2]))
    assert "data:image" not in card
    assert "likeliest" in card


def test_replays_exports_and_experiments_are_shown(runs: tuple[fr.Run, fr.Run], tmp_path: Path) -> None:
    replayed = fr.replay(runs[0].path)
    assert "the same, bit for bit" in shown(replayed)
    assert "bit for bit" in str(replayed)
    done = fr.experiment("digits", [SMALL], vary={"epochs": [1, 2]}, seeds=1, out=tmp_path / "experiment")
    card = shown(done)
    assert "95% interval" in card
    assert "1 of 1" in card
    assert str(done.page) in card
    pytest.importorskip("onnxruntime")
    exported = runs[0].export("onnx", tmp_path / "m.onnx")
    assert "Checked by onnxruntime" in shown(exported)
