"""A photo gets a second opinion where a table translates it; without the extra, all stays as it is, and says so."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fittingroom as fr
from fittingroom.answers.two_opinions import TwoOpinions
from fittingroom.backbones.backbone import Backbone
from fittingroom.data.catalogue import FASHION_MNIST
from fittingroom.errors import missing_extra
from fittingroom.serving.request_images import BodyPart, RequestReader
from fittingroom.serving.served_model import ServedModel
from fittingroom.serving.try_view import TryView
from tests.cli.conftest import Command
from tests.photos.drawing import photo, training_images

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on drawn shirts with Fashion-MNIST's classes."""
    folder = tmp_path_factory.mktemp("second")
    images, labels = training_images(120), np.arange(120) % 10
    arrays: Any = {"x_train": images, "y_train": labels, "class_names": np.array(FASHION_MNIST.classes)}
    np.savez(folder / "shirts.npz", **arrays, x_test=images[:10], y_test=labels[:10])
    recipe = fr.Recipe(name="tiny", hidden=(8,), epochs=1)
    return fr.train(f"npz:{folder / 'shirts.npz'}", recipe, validation=30, out=folder / "run").path


@pytest.fixture
def shirt(tmp_path: Path) -> Path:
    photo()[0].save(tmp_path / "shirt.png")
    return tmp_path / "shirt.png"


@pytest.fixture
def no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where `fittingroom[pretrained]` is not installed."""

    def missing(self: Backbone, images: Any) -> None:
        raise missing_extra("a pretrained backbone", "pretrained")

    monkeypatch.setattr(Backbone, "class_log_probabilities", missing)


def test_an_answer_to_a_photo_is_of_both_and_says_what_each_says(path: Path, shirt: Path) -> None:
    run = fr.open_run(path)
    [answer] = run.answer(shirt)
    assert answer.opinions is not None
    second = answer.opinions.second
    assert second.probabilities.sum() + second.something_else == pytest.approx(1)
    np.testing.assert_array_equal(run.predict(shirt)[0], answer.probabilities)
    assert (
        answer.probability
        == answer.probabilities.max()
        == answer.probabilities[FASHION_MNIST.classes.index(answer.label)]
    )
    assert f"; EfficientNet-Lite0 sees {second.seen[0][0]} (" in answer.why
    assert answer.unlike == answer.opinions.refused
    # What the run says alone is what it says where nobody else is asked.
    inputs = run.predictor.reader.read_file(shirt)
    [alone] = run.answer(type(inputs)(inputs.images, inputs.cut_out))
    assert alone.opinions is None
    np.testing.assert_allclose(answer.opinions.run, alone.probabilities, rtol=1e-5)
    again = TwoOpinions.of(alone.probabilities, second, unlike=alone.unlike)
    np.testing.assert_allclose(again.probabilities, answer.probabilities, rtol=1e-5)


def test_what_is_no_photo_has_the_run_s_opinion_alone(path: Path, shirt: Path) -> None:
    run, images = fr.open_run(path), training_images(2)
    assert [answer.opinions for answer in run.answer(images)] == [None, None]
    [answer, small] = run.answer([shirt, Image.fromarray(images[0])])
    assert (answer.opinions is not None, small.opinions) == (True, None)
    [expected] = run.answer(images[:1])
    np.testing.assert_allclose(small.probabilities, expected.probabilities, rtol=1e-5)


def test_without_the_extra_answers_are_the_run_s_and_say_so_once(
    path: Path, shirt: Path, no_extra: None, caplog: pytest.LogCaptureFixture
) -> None:
    run = fr.open_run(path)
    with caplog.at_level(logging.WARNING, "fittingroom"):
        [answer], _ = run.answer(shirt), run.predict(shirt)
    assert answer.opinions is None
    assert "synthetic photos" in answer.why or "Unlike the training images" in answer.why
    assert answer.to_dict()["second_opinion"] is None
    told = [record.message for record in caplog.records if "pip install 'fittingroom[pretrained]'" in record.message]
    assert len(told) == 1
    assert told[0].startswith("No second opinion on photos: ")


def test_predict_tells_both_opinions_and_draws_them(command: Command, path: Path, shirt: Path, tmp_path: Path) -> None:
    done = command("predict", path, shirt, "--json", "--show", tmp_path / "both.png")
    [prediction] = done.json["predictions"]
    second = prediction["second_opinion"]
    assert second["by"] == "EfficientNet-Lite0"
    assert [len(second["run"]), len(second["probabilities"])] == [10, 10]
    assert "second opinion" not in done.err
    with Image.open(tmp_path / "both.png") as picture:
        width, blue = picture.width, (np.asarray(picture) == (70, 110, 190)).all(axis=2)
    steps = 12 + len(prediction["steps"]) * (150 + 12)
    columns = [blue[:, start : start + 115].any() for start in range(steps + 90, width - 12, 160)]
    assert columns == [True] * 3


def test_predict_says_that_the_extra_would_help(command: Command, path: Path, shirt: Path, no_extra: None) -> None:
    done = command("predict", path, shirt, shirt, "--json")
    assert [row["second_opinion"] for row in done.json["predictions"]] == [None, None]
    assert done.err.count("pip install 'fittingroom[pretrained]'") == 1


def test_a_server_and_the_page_tell_it_too(path: Path, shirt: Path) -> None:
    model = ServedModel.of(fr.open_run(path))
    reader = RequestReader(model.data, model.style, model.predictor.second_opinion)
    inputs = reader.picture(BodyPart("shirt.png", shirt.read_bytes()), 0, pictures=False)
    [served] = model.predictor.answer_unchecked(inputs)
    assert served.to_dict()["second_opinion"]["by"] == "EfficientNet-Lite0"
    assert any("second opinion by EfficientNet-Lite0" in line for line in model.card()["limits"]["meaning"])
    view = TryView("run", model.predictor, None)
    assert "EfficientNet-Lite0" in view.facts()["photo"]["note"]
    told = view.photo(shirt.read_bytes())
    assert told["second_opinion"] == served.to_dict()["second_opinion"]
    assert told["why"] == served.why
