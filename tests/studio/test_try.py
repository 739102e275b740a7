"""Trying a run over HTTP: drawings and photos are answered with their steps; what is neither is refused."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fittingroom
from fittingroom.api.prepare import prepare_command
from fittingroom.serving.gate import Gate, Security
from fittingroom.serving.limits import LIMITS
from fittingroom.studio.application import create_studio
from fittingroom.studio.studio import Studio
from tests.engine import models
from tests.hostile.pictures import huge_webp, png, saved
from tests.photos.drawing import photo
from tests.serving.serving import Reply
from tests.studio.opened import asked

pytestmark = pytest.mark.usefixtures("quick_compiler")

ONE = [[[0.45, 0.2], [0.55, 0.1], [0.55, 0.9]]]
TINY = fittingroom.Recipe(name="tiny", hidden=(16,), epochs=4, batch_size=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs of the digits with one seed and with two, of a folder in colour with 40 classes, and of plain arrays."""
    place = tmp_path_factory.mktemp("try")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_RUNS_DIR", str(place / "runs"))
        patch.setenv("FITTINGROOM_LEDGER", str(place / "ledger.sqlite"))
        fittingroom.train("digits", TINY, out=place / "runs" / "one")
        fittingroom.train("digits", TINY, seeds=2, out=place / "runs" / "two")
        fittingroom.open_run(place / "runs" / "one").predictor.fit()
        random = np.random.default_rng(0)
        for number in range(160):
            file = place / "pictures" / f"<b>{number % 40:02}" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(file)
        fittingroom.train(place / "pictures", TINY, image_size=16, out=place / "runs" / "colour")
        inputs = random.random((60, 28, 28)).astype(np.float32)
        fittingroom.fit(models.course(), inputs, np.arange(60) % 10, epochs=1, out=place / "runs" / "arrays")
        yield place / "runs"


@pytest.fixture
def studio(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(folder))
    opened = Studio()
    yield opened
    opened.close()


@pytest.fixture
def app(studio: Studio) -> Gate:
    return create_studio(studio, Security.of("127.0.0.1", links=True, guests=True))


def draw(app: Gate, run: str, values: Any, path: str = "drawing", query: str = "") -> Reply:
    body = json.dumps(values).encode()
    return asked(app, "POST", f"/api/runs/{run}/try/{path}", {"content-type": "application/json"}, body, query)


def show(app: Gate, run: str, content: bytes) -> Reply:
    """A photo; where the run has to be calibrated first, it is shown again until it is."""
    for _ in range(200):
        reply = asked(app, "POST", f"/api/runs/{run}/try/photo", {"content-type": "image/png"}, content)
        if reply.status != 503:
            return reply
        assert reply.error["code"] == "preparing"
        assert "Photos are answered in about" in reply.error["message"]
        time.sleep(0.2)
    raise AssertionError("it never became ready")


def as_png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def test_a_drawing_is_answered_with_its_steps_and_what_is_near(app: Gate) -> None:
    facts = asked(app, "GET", "/api/runs/one/try").json
    assert facts["drawing"]["possible"]
    assert not facts["drawing"]["fills"]
    for run in ("one", "two"):
        answer = draw(app, run, {"strokes": ONE, "fills": None}).json
        assert [step["name"] for step in answer["steps"]] == ["drawing", "placed", "8×8"]
        assert all(step["picture"].startswith("data:image/png;base64,") for step in answer["steps"])
        assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-3)
        assert len(answer["nearest"]) == 8
        assert answer["nearest"][0]["likeness"] >= answer["nearest"][-1]["likeness"]
        assert (answer["closest"] is not None) == answer["unlike"]


def test_a_run_that_was_just_trained_is_prepared_for_photos_and_drawings_do_not_wait(
    folder: Path, studio: Studio, app: Gate
) -> None:
    def look() -> None:
        for poll in studio.events._polls:
            poll()

    look()
    made = fittingroom.train("digits", TINY, out=folder / "new")
    look()  # while somebody watches
    assert [task["title"] for task in studio.work.listing()] == ["Getting new ready for photos"]
    assert asked(app, "GET", "/api/runs/new/try").json["photo"]["wait"] > 0
    assert draw(app, "new", {"strokes": ONE}).status == 200
    answer = show(app, "new", as_png(photo()[0])).json
    assert [step["name"] for step in answer["steps"]][:2] == ["photo", "foreground"]
    assert (made.path / "correction.npz").exists()
    assert asked(app, "GET", "/api/runs/new/try").json["photo"]["wait"] is None
    assert "--trust" in prepare_command(made.path, trust=True)


def test_runs_of_photographs_and_of_plain_arrays_say_what_becomes_of_a_drawing(app: Gate) -> None:
    facts = asked(app, "GET", "/api/runs/colour/try").json
    assert facts["photo"]["first"]
    assert facts["photo"]["wait"] is None
    assert "whole pictures" in facts["drawing"]["note"]
    assert len(draw(app, "colour", {"strokes": ONE}).json["probabilities"]) == 40
    assert show(app, "colour", as_png(photo()[0])).json["nearest"][0]["label"].startswith("<b>")
    facts = asked(app, "GET", "/api/runs/arrays/try").json
    assert "It is not known how the training images were made" in facts["drawing"]["note"]
    assert draw(app, "arrays", {"strokes": ONE}).status == 200
    assert "plain arrays" in show(app, "arrays", as_png(photo()[0])).error["message"]


def test_a_correction_is_kept_and_undone_by_the_owner_alone(app: Gate, folder: Path) -> None:
    kept = draw(app, "one", {"strokes": ONE}, "corrections/drawing", "label=7").json
    file = Path(kept["kept"]["file"])
    assert file.is_relative_to(folder / "corrections")
    assert (file.parent.name, kept["corrections"]["count"]) == ("7", 1)
    with Image.open(file) as image:
        assert image.size == (8, 8)
    assert draw(app, "one", {"strokes": ONE}, "corrections/drawing", "label=nine").status == 422
    gone = asked(app, "DELETE", f"/api/runs/one/try/corrections/{file.name}").json
    assert (gone["corrections"]["count"], file.exists()) == (0, False)
    assert asked(app, "DELETE", f"/api/runs/one/try/corrections/{file.name}").status == 422
    guest = Security(frozenset({"localhost"}), any_address=False, token="o" * 22, guest="g" * 22, links=True)
    for_guests = create_studio(Studio(), guest)
    bearer = {"authorization": f"Bearer {'g' * 22}"}
    assert asked(for_guests, "GET", "/api/runs/one/try", bearer).json["corrections"] is None
    path, body = "/api/runs/one/try", json.dumps({"strokes": ONE}).encode()
    assert asked(for_guests, "POST", f"{path}/drawing", bearer, body).status == 200
    assert (
        asked(for_guests, "POST", f"{path}/corrections/drawing", bearer, body, "label=7").error["code"] == "owner_only"
    )
    assert asked(for_guests, "DELETE", f"{path}/corrections/{file.name}", bearer).error["code"] == "owner_only"


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty|not an image"),
    "text": (b"plain text, called .png", "not an image"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "SVG|not an image"),
    "PDF": (b"%PDF-1.7\n", "PDF"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0", "HEI"),
    "cut off": (saved((60, 60), "JPEG")[:400], "cut|truncated|damaged|incomplete"),
    "13,300 x 13,300": (png(13_300, 13_300), "pixel"),
    "2^31 wide": (png(2**31 - 1, 1), "pixel"),
    "huge WebP": (huge_webp(), "pixel"),
    "1 x 1": (saved((1, 1), "PNG"), "1×1 pixels"),
    "10,000 x 1": (saved((10_000, 1), "PNG"), "10,?000×1 pixels"),
    "arrays": (b"\x93NUMPY", "not an image"),
    "ZIP": (b"PK\x03\x04" + bytes(60), "not an image|ZIP|accepted"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_is_refused_in_a_sentence(app: Gate, name: str) -> None:
    content, said = REFUSED[name]
    reply = show(app, "one", content)
    assert reply.status == 422
    assert re.search(said, reply.error["message"]), reply.error["message"]


@pytest.mark.parametrize(
    ("image", "note"),
    [
        (Image.new("CMYK", (60, 60)), "CMYK"),
        (Image.new("I;16", (60, 60), 30_000), "16"),
        (Image.new("P", (60, 60)), ""),
    ],
    ids=["CMYK", "16 bits", "palette"],
)
def test_pictures_of_unusual_kinds_are_converted_and_that_is_said(app: Gate, image: Image.Image, note: str) -> None:
    stream = io.BytesIO()
    image.save(stream, "JPEG" if image.mode == "CMYK" else "PNG")
    answer = show(app, "one", stream.getvalue())
    assert answer.status == 200
    assert note in " ".join(answer.json["notes"])


def test_what_is_no_drawing_and_no_run_is_refused_in_a_sentence(app: Gate) -> None:
    assert "no strokes" in draw(app, "one", {"strokes": []}).error["message"]
    assert "Expected a drawing" in draw(app, "one", [1]).error["message"]
    assert "Expected a drawing" in draw(app, "one", {"strokes": ONE, "fills": "yes"}).error["message"]
    assert draw(app, "none", {"strokes": ONE}).error["code"] == "no_such_run"
    not_json = asked(app, "POST", "/api/runs/one/try/drawing", {}, b"[" * 100_000)
    assert (not_json.status, not_json.error["code"]) == (400, "not_json")
    large = {"content-length": str(LIMITS.json_bytes + 1)}
    assert asked(app, "POST", "/api/runs/one/try/drawing", large).status == 413
    assert asked(app, "POST", "/api/runs/one/try/photo", {"content-length": str(LIMITS.body_bytes + 1)}).status == 413
    foreign = asked(app, "POST", "/api/runs/one/try/drawing", {"origin": "http://elsewhere.example"}, b"{}")
    assert foreign.error["code"] == "foreign_origin"
