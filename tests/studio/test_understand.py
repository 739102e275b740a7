"""What the view Understand reads of a run: outcomes and pictures, the map in the background, and why there is none."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

import fittingroom as fr
from fittingroom.api.image_map import MAP
from fittingroom.reports.facts.subject import Subject
from fittingroom.reports.pages.report_page import validation_images
from fittingroom.serving.gate import Security
from fittingroom.studio import understanding
from fittingroom.studio.application import create_studio
from fittingroom.studio.studio import Studio
from tests.browser.conftest import make_hostile
from tests.evaluation.examples import trajectories_of
from tests.reports.builders import contents_of, course_of, written
from tests.serving.serving import Reply
from tests.studio.opened import asked

pytestmark = pytest.mark.usefixtures("quick_compiler")

TINY = fr.Recipe(name="tiny", hidden=(16,), epochs=3, batch_size=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `digits`, of three seeds, and `blind`, without validation images."""
    folder = tmp_path_factory.mktemp("understood")
    fr.train("digits", TINY, seeds=3, validation=120, out=folder / "digits")
    fr.train("digits", TINY.changed(epochs=1), validation=0, out=folder / "blind")
    return folder


@pytest.fixture
def app(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(folder))
    studio = Studio()
    yield create_studio(studio, Security.of("127.0.0.1"))
    studio.close()


def got(app: FastAPI, path: str) -> Reply:
    route, _, query = path.partition("?")
    return asked(app, "GET", f"/api/runs/{route}", query=query)


def unpacked(reply: Reply) -> tuple[dict[str, Any], dict[str, Any]]:
    assert reply.status == 200
    length = int.from_bytes(reply.body[:4], "little")
    header = json.loads(reply.body[4 : 4 + length])
    arrays = {}
    for one in header.pop("arrays"):
        start = 4 + length + one["start"]
        assert start % 8 == 0  # a browser's typed arrays begin nowhere else
        values = np.frombuffer(reply.body, one["type"], int(np.prod(one["shape"])), start)
        arrays[one["name"]] = values.reshape(one["shape"])
    return header, arrays


def test_outcomes_of_all_epochs_come_once_as_the_run_has_them(app: Any, folder: Path) -> None:
    header, arrays = unpacked(got(app, "digits/outcomes"))
    subject = Subject.read(folder / "digits")
    training = subject.trainings[subject.example]
    known = training.trajectories
    assert (header["seed"], header["seeds"]) == (training.record.seed, 3)
    assert (header["epochs"], header["images"]) == ([1, 2, 3], 120)
    assert header["classes"] == list(known.classes)
    assert arrays["labels"].tolist() == known.labels.tolist()
    assert arrays["predicted"].tolist() == known.predicted.tolist()
    assert arrays["loss"].tolist() == known.loss.tolist()
    confidence = known.confidence(3)
    assert confidence is not None
    assert arrays["confidence"][2] / 65535 == pytest.approx(confidence, abs=1e-4)
    assert arrays["probability"] / 65535 == pytest.approx(known.probability, abs=1e-4)


def test_the_answers_and_lists_are_those_of_explain(app: Any, folder: Path) -> None:
    answers = got(app, "digits/answers").json
    explained = fr.open_run(folder / "digits").explain()
    assert [topic["question"] for topic in answers["topics"]] == [question for question, _ in explained.topics()]
    assert [one["name"] for one in answers["lists"]] == [one["name"] for one in explained.facts["images"]]
    assert all(topic["short"] for topic in answers["topics"])


def test_pictures_are_those_of_the_run(app: Any, folder: Path) -> None:
    subject = Subject.read(folder / "digits")
    _, part, _ = validation_images(subject.trainings[subject.example])
    assert part is not None
    shown = np.rint(part.images * (255 / 16)).astype(np.uint8)
    sheet = np.asarray(Image.open(io.BytesIO(got(app, "digits/sheets/0").body)))
    assert sheet.shape == (4 * 8, 32 * 8)
    assert np.array_equal(sheet[8:16, 16:24], shown[34])
    picture = got(app, "digits/images/34/picture")
    assert picture.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture.body))), shown[34])
    about = got(app, "digits/images/34").json
    assert np.asarray(about["probabilities"]).sum(axis=1) == pytest.approx(np.ones(3), abs=0.01)


@pytest.mark.parametrize("path", ["images/120", "images/-1", "images/120/picture", "sheets/1", "sheets/-1"])
def test_what_is_not_there_is_not_found(app: Any, path: str) -> None:
    assert got(app, f"digits/{path}").error["status"] == 404


def test_pixels_speak_for_and_against_a_class_and_a_sentence_says_how(app: Any) -> None:
    found = got(app, "digits/images/3/pixels?first=1&second=2").json
    back = got(app, "digits/images/3/pixels?first=2&second=1").json
    assert (found["width"], found["height"], found["kind"]) == (8, 8, "contributions")
    assert np.array_equal(found["values"], -np.asarray(back["values"]))
    assert max(map(abs, found["values"])) == found["steps"]
    assert "biases make up the rest" in found["text"]
    assert got(app, "digits/images/3/pixels?first=1&second=1").status == 422
    assert got(app, "digits/images/3/pixels?first=1&second=99").status == 422
    header, arrays = unpacked(got(app, "digits/weights"))
    assert arrays["weights"].shape == (16, 8, 8)
    assert (header["of"], sorted(header["units"])) == (16, list(range(16)))


def test_the_map_is_computed_beside_and_kept_with_the_run(app: Any, folder: Path) -> None:
    (folder / "digits" / MAP.name).unlink(missing_ok=True)
    header, arrays = unpacked(got(app, "digits/map"))
    assert (header["source"], arrays) == (None, {})
    begun = asked(app, "POST", "/api/runs/digits/map").json
    again = asked(app, "POST", "/api/runs/digits/map").json
    assert {begun["state"], again["state"]} <= {"waiting", "running"}
    deadline = time.monotonic() + 60
    while (header := unpacked(got(app, "digits/map"))[0])["work"]["state"] not in {"done", "failed"}:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    header, arrays = unpacked(got(app, "digits/map"))
    assert (header["source"], header["work"]["state"]) == ("hidden layer", "done")
    assert arrays["pca"].shape == arrays["tsne"].shape == (120, 2)
    assert (folder / "digits" / MAP.name).is_file()
    assert asked(app, "POST", "/api/runs/digits/map").json["state"] == "done"


def test_a_run_that_cannot_be_looked_at_says_why_without_an_error_in_the_browser(app: Any, folder: Path) -> None:
    for path in ("outcomes", "answers"):
        told = got(app, f"blind/{path}")
        assert told.status == 200
        assert "has no validation images" in told.json["unavailable"]["message"]
    begun = folder / "under way"
    shutil.copytree(folder / "digits", begun)
    (begun / "run.json").rename(begun / "training.json")
    assert got(app, "under way/outcomes").json["unavailable"]["code"] == "in_training"
    shutil.rmtree(begun)
    assert got(app, "nobody/outcomes").error["code"] == "no_such_run"
    assert got(app, "..%2f..%2fetc/outcomes").status == 404


def test_a_run_without_pictures_says_so_and_names_of_others_come_as_text(
    app: Any, folder: Path, tmp_path: Path
) -> None:
    written(folder / "plain", contents_of(course_of([1.0, 2.0], images=40)))
    header, arrays = unpacked(got(app, "plain/outcomes"))
    assert header["sheets"] is None
    assert "plain arrays" in header["no_pictures"]
    assert arrays["loss"].shape == (2, 40)
    assert got(app, "plain/images/0/picture").status == 404
    fr.open_run(folder / "digits")[0].evaluate("for its text")
    make_hostile(folder / "digits" / "seed-0", folder / "hostile")
    assert "<img src=x onerror=alert(1)>" in unpacked(got(app, "hostile/outcomes"))[0]["classes"]
    assert "\u202e" not in got(app, "hostile/outcomes").body.decode(errors="replace")


def test_of_many_images_and_epochs_as_many_are_sent_as_a_browser_can_hold(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(understanding, "_MOST_OUTCOMES", 400)
    course = course_of(np.linspace(1, 2, 30).tolist(), images=100)
    found = understanding.Understanding(written(folder / "long", contents_of(course)))
    header, arrays = unpacked(Reply(200, {}, found.outcomes))
    assert len(header["epochs"]) in {4, 5}
    assert header["all_epochs"] == 30
    assert arrays["loss"].shape == (len(header["epochs"]), 100)
    assert header["epochs"][header["shown"]] == found.training.shown_epoch


def test_one_image_of_one_epoch_is_enough(app: Any, folder: Path) -> None:
    one = trajectories_of([[[2.0, 0.0]]], [0])
    written(folder / "one", contents_of(one))
    header, arrays = unpacked(got(app, "one/outcomes"))
    assert (header["images"], header["epochs"]) == (1, [1])
    assert arrays["labels"].tolist() == [0]
