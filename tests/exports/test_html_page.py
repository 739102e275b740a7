"""`--to page` in a Chromium: it says what the run says of images and drawings, and is the same bytes every time."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.errors import ModelError
from fittingroom.exports import chromium, html_page
from fittingroom.exports.chromium import Chromium, chromium_path
from fittingroom.exports.page_bundle import bundled
from fittingroom.serving.try_view import TryView
from tests.exports.test_export_frame import ARRAYS, CLASSES

pytestmark = [
    pytest.mark.usefixtures("quick_compiler"),
    pytest.mark.skipif(chromium_path() is None, reason="there is no Chromium here"),
]

SEVERAL = fr.Recipe(
    name="several", convolutions=((4,),), hidden=(), residual=False, test_views=("flip",), epochs=2, batch_size=64,
)  # fmt: skip
STROKES = [[[0.3, 0.2], [0.7, 0.2], [0.7, 0.5], [0.4, 0.9]], {"points": [[0.3, 0.2], [0.35, 0.2]], "erases": True}]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> fr.Run:
    """Two seeds with test views, on images with values of 0 to 16."""
    return fr.train("digits", SEVERAL, seeds=2, out=tmp_path_factory.mktemp("page") / "several")


def asked(page: Chromium, kind: str, body: str) -> Any:
    """What the page answers; pictures stay away."""
    plain = "(key, value) => (key === 'picture' ? undefined : value)"
    return json.loads(
        page.value(
            f"fittingRoom.then(({{ ask }}) => ask('{kind}', {body})).then((one) => JSON.stringify(one, {plain}))"
        )
    )


def bytes_of(images: np.ndarray[Any, Any]) -> str:
    text = base64.b64encode(images.tobytes()).decode()
    return f"{{ bytes: Uint8Array.from(atob('{text}'), (letter) => letter.charCodeAt(0)).buffer }}"


def assert_same(found: dict[str, Any], told: dict[str, Any]) -> None:
    np.testing.assert_allclose(found["probabilities"], told["probabilities"], atol=1e-5)
    for name in ("class", "set", "unlike", "why"):
        assert found[name] == told[name]


def test_a_page_says_what_the_run_says(run: fr.Run, tmp_path: Path) -> None:
    exported = run.export("page", tmp_path / "model.html")
    checked = exported.facts["checked"]
    assert checked["by"] == "Chromium"
    assert checked["same_class"] == checked["images"] > 100
    content = exported.path.read_bytes()
    assert run.export("page", tmp_path / "again.html").path.read_bytes() == content

    page = Chromium(content)
    images = fr.load("digits").train.images[:60]
    turned = np.ascontiguousarray(np.concatenate([images, images[:20, ::-1].transpose(0, 2, 1)]))  # some are refused
    told = [answer.to_dict() for answer in run.answer(turned)]
    assert {answer["unlike"] for answer in told} == {True, False}
    for found, one in zip(asked(page, "answers", bytes_of(turned)), told, strict=True):
        assert_same(found, one)

    drawing = {"strokes": STROKES, "fills": False}
    view = TryView("several", run.predictor, None)
    told_of_drawing = view.drawing(drawing)
    found = asked(page, "drawing", json.dumps(drawing))
    assert_same(found, told_of_drawing)
    assert [(step["name"], step["note"]) for step in found["steps"]] == [
        (step["name"], step["note"]) for step in told_of_drawing["steps"]
    ]
    facts = json.loads(page.value("document.getElementById('facts').textContent"))
    known = view.facts()
    assert facts["drawing"] == known["drawing"]
    assert facts["classes"] == known["classes"]
    page.close()


def test_arrays_of_fit_have_a_page_that_takes_no_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    layers = [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.layers.Input((8, 8)), *layers])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fitted = fr.fit(model, ARRAYS, CLASSES, epochs=1, validation_split=0.2, out=tmp_path / "fitted", verbose=0)
    exported = fitted.export("page", tmp_path / "model.html")
    assert exported.facts["checked"]["by"] == "Chromium"
    page = Chromium(exported.path.read_bytes())
    assert "trained on arrays of numbers" in page.value(
        "fittingRoom.then(() => document.querySelector('main').textContent)"
    )
    page.close()

    monkeypatch.setattr(chromium, "chromium_path", lambda: None)
    unchecked = fitted.export("page", tmp_path / "unchecked.html")
    assert "No Chromium, Chrome or Edge was found" in unchecked.facts["checked"]["why_not"]
    assert "No Chromium" in str(unchecked)


def test_a_page_that_answers_otherwise_is_not_written(
    run: fr.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html_page, "bundled", lambda *given: bundled(*given).replace("most : x;", "most : 1.01 * x;"))
    with pytest.raises(ModelError, match=r"What Chromium answers is not what the run answers.*validation image 0"):
        run.export("page", tmp_path / "model.html")
    assert not any(tmp_path.iterdir())


def test_a_page_that_fails_says_so() -> None:
    page = Chromium(b"<!doctype html><p>")
    with pytest.raises(ModelError, match="The page fails in the browser: ReferenceError: fittingRoom is not defined"):
        asked(page, "drawing", "{}")
    page.close()
