"""Classes that a page fills with photos: how they are kept, who may change them, and the process that teaches a run."""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fittingroom
from fittingroom.errors import InputError, RunError
from fittingroom.reports.pages.teaching_curve import teaching_curve
from fittingroom.serving.gate import Gate, Security
from fittingroom.studio.application import create_studio
from fittingroom.studio.studio import Studio
from fittingroom.studio.taught_classes import TaughtClasses, teach
from tests.studio.opened import asked

PYTHON = sys.executable
OWNER, GUEST = ({"authorization": f"Bearer {letter * 22}"} for letter in "og")
CHANGES = [
    ("POST", "/api/teach/digits/classes"),
    ("PUT", "/api/teach/digits/classes/mug"),
    ("DELETE", "/api/teach/digits/classes/mug"),
    ("POST", "/api/teach/digits/photos"),
    ("GET", "/api/teach/digits/photos/0123456789abcdef.jpg"),
    ("DELETE", "/api/teach/digits/photos/0123456789abcdef.jpg"),
    ("POST", "/api/teach/digits/begin"),
]


def photo(seed: int = 0, form: str = "JPEG", size: tuple[int, int] = (80, 60)) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).save(stream, form)
    return stream.getvalue()


@pytest.fixture
def classes(tmp_path: Path) -> TaughtClasses:
    return TaughtClasses.of(tmp_path, "run", ("T-shirt/top", "Bag"))


def test_classes_are_folders_of_photos_as_the_command_takes_them(classes: TaughtClasses) -> None:
    assert classes.names() == []
    assert classes.add("  my   mug ") == "my mug"
    assert classes.add("t-shirt-TOP") == "T-shirt/top"  # a class of the run, by the name of its folder
    first, second = classes.put("my mug", photo(1)), classes.put("my mug", photo(2, "PNG", (4000, 3000)))
    assert classes.put("my mug", photo(1)) == first  # the same photo is kept once
    assert set(classes.photos("my mug")) == {first, second}
    assert classes.photos("T-shirt/top") == []
    assert sorted(path.name for path in classes.folder.iterdir()) == [".classes.json", "my mug"]
    with Image.open(classes.folder / "my mug" / second) as kept:
        assert (kept.format, max(kept.size)) == ("JPEG", 1024)
    with Image.open(io.BytesIO(classes.small("my mug", second))) as small:
        assert small.size == (112, 112)
    assert classes.rename("my mug", "Cup") == "Cup"
    assert (classes.names(), len(classes.photos("Cup"))) == (["Cup", "T-shirt/top"], 2)
    classes.put("T-shirt/top", photo(3))
    assert (classes.folder / "T-shirt-top").is_dir()
    classes.take_away("Cup", first)
    classes.take_away("Cup", second)
    assert not (classes.folder / "Cup").exists()  # an empty folder would be an error of the command
    classes.remove("Cup")
    assert classes.names() == ["T-shirt/top"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "needs a name"),
        ("../..", "needs a name"),
        ("x" * 81, "at most 80"),
        ("MUG", "There is a class 'mug' already"),
        ("mug?", "There is a class 'mug' already"),
        ("Test", "the name of a part of a dataset"),
    ],
)
def test_names_that_no_class_can_have_are_refused(classes: TaughtClasses, name: str, says: str) -> None:
    classes.add("mug")
    with pytest.raises(InputError, match=says):
        classes.add(name)
    classes.add("other")
    with pytest.raises(InputError, match=says):
        classes.rename("other", name)
    assert classes.rename("mug", "Mug") == "Mug"


def test_what_is_not_there_or_not_a_photo_is_refused(classes: TaughtClasses) -> None:
    classes.add("mug")
    with pytest.raises(InputError, match="There is no class 'cup' here"):
        classes.put("cup", photo())
    with pytest.raises(InputError, match="the photo is not an image"):
        classes.put("mug", b"hello, this is some text")
    for file in ("../../secret.jpg", "0123456789abcdef.png", ""):
        with pytest.raises(InputError, match="no such photo"):
            classes.take_away("mug", file)
    with pytest.raises(InputError, match="cannot read"):
        classes.small("mug", "0123456789abcdef.jpg")
    (classes.folder / ".classes.json").write_text('{"a": [')
    assert classes.names() == []


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taught") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(folder.parent / "ledger.sqlite"))
        fittingroom.train("digits", "linear", epochs=1, out=folder / "digits")
    return folder


@pytest.fixture
def app(digits: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A studio with an owner and a guest, without a server."""
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(digits))
    return create_studio(Studio(), Security(frozenset({"localhost"}), False, "o" * 22, guest="g" * 22, links=True))


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_guests_neither_change_photos_nor_see_them(app: Gate, method: str, path: str) -> None:
    reply = asked(
        app, method, path, {**GUEST, "content-type": "application/json"}, b'{"name": "mug"}', query="name=mug"
    )
    assert (reply.status, reply.error["code"]) == (403, "owner_only")


def test_a_page_fills_classes(app: Gate) -> None:
    as_json = {**OWNER, "content-type": "application/json"}

    def state(who: dict[str, str] = OWNER) -> Any:
        return asked(app, "GET", "/api/teach/digits", who).json

    assert (state()["classes"], state()["known"], state()["taught"]) == ([], list("0123456789"), None)
    assert asked(app, "POST", "/api/teach/digits/classes", as_json, b'{"name": "a/b"}').json == {"name": "a-b"}
    put = asked(
        app, "POST", "/api/teach/digits/photos", {**OWNER, "content-length": str(len(photo()))}, photo(), "name=a-b"
    )
    file = put.json["photo"]
    assert state()["classes"] == [{"name": "a-b", "known": False, "count": 1, "photos": [file]}]
    assert state(GUEST)["classes"] == [{"name": "a-b", "known": False, "count": 1, "photos": []}]
    assert state(GUEST)["folder"] == ""
    small = asked(app, "GET", f"/api/teach/digits/photos/{file}", OWNER, query="name=a-b")
    assert (small.status, small.headers["content-type"]) == (200, "image/jpeg")
    assert asked(app, "PUT", "/api/teach/digits/classes/a-b", as_json, b'{"name": "3"}').json == {"name": "3"}
    assert state()["classes"][0]["known"] is True
    assert asked(app, "POST", "/api/teach/digits/classes", as_json, b'{"name": "3"}').status == 400
    assert asked(app, "DELETE", f"/api/teach/digits/photos/{file}", OWNER, query="name=3").status == 200
    assert asked(app, "DELETE", "/api/teach/digits/classes/3", OWNER).status == 200
    assert state()["classes"] == []
    assert asked(app, "GET", "/api/teach/nothing", OWNER).status == 404


def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """Puts a script in the place of `fittingroom teach`."""
    script = tmp_path / "teach.py"
    script.write_text(f"#!{PYTHON}\n{source}")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))


def test_teaching_is_a_process_whose_run_is_kept_and_whose_sentence_is_told(
    classes: TaughtClasses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes.add("mug")
    closed, run = threading.Event(), tmp_path / "run"
    told: list[int] = []
    command(
        tmp_path,
        monkeypatch,
        "import json, sys, time\ntime.sleep(0.5)\nassert sys.argv[1:4] == ['-m', 'fittingroom', 'teach'], sys.argv\n"
        "print(json.dumps({'path': '/somewhere/run-taught-1', 'of': sys.argv[4:]}))",
    )
    facts = teach(run, classes, lambda done, of: told.append(done), closed)
    assert facts["of"] == [str(run), str(classes.folder), "--json"]
    assert (classes.taught, told[0]) == ("run-taught-1", 0)
    command(
        tmp_path, monkeypatch, "import sys\nsys.exit('a note\\nfittingroom: error: One photo is too few. Add some.')"
    )
    with pytest.raises(RunError, match=r"^One photo is too few\. Add some\.$"):
        teach(run, classes, lambda done, of: None, closed)
    command(tmp_path, monkeypatch, "print('nonsense')")
    with pytest.raises(RunError, match="ended without a run"):
        teach(run, classes, lambda done, of: None, closed)
    command(tmp_path, monkeypatch, "import time\ntime.sleep(60)")
    closed.set()
    with pytest.raises(RunError, match="ended before it was done"):
        teach(run, classes, lambda done, of: None, closed)
    assert classes.taught == "run-taught-1"


def test_the_curve_of_a_teaching_is_drawn_with_its_forecast() -> None:
    points = [{"photos_per_class": n, "accuracy": a, "interval": [a - 0.1, a + 0.1]} for n, a in ((1, 0.5), (5, 0.75))]
    drawn = teaching_curve({"curve": points, "forecast": {**points[1], "photos_per_class": 15, "accuracy": 0.85}})
    assert "1 photos: 50%, 5 photos: 75%." in drawn
    assert "forecast" in drawn
    assert "photos of each class" in drawn
    assert "forecast" not in teaching_curve({"curve": points, "forecast": None})
    assert teaching_curve({"curve": points[:1]}) == teaching_curve({}) == ""
