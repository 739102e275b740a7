"""A run is taught by a folder of photos: the new run is one like any other, and says how well it was taught."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fittingroom as fr
from fittingroom.api.backbone_view import inner_view
from fittingroom.api.run import Run
from fittingroom.api.taught_photos import _matched
from fittingroom.cli.main import main
from fittingroom.errors import DataError, InputError, RunError
from fittingroom.runs.layout import read_layout
from fittingroom.training.recipe_job import replay

pytest.importorskip("onnxruntime")

COLOURS = {"3": (200, 40, 40), "Kite": (40, 200, 60), "kettle": (50, 60, 210)}
EACH = 7


def put_photos(folder: Path, colours: dict[str, tuple[int, int, int]], each: int, seed: int = 0) -> Path:
    """Pictures of a rectangle of the class's colour, anywhere, on noise."""
    random = np.random.default_rng(seed)
    for name, colour in colours.items():
        (folder / name).mkdir(parents=True)
        for number in range(each):
            pixels = random.integers(90, 160, (64, 48, 3), np.uint8)
            top, left = random.integers(4, 30), random.integers(4, 20)
            pixels[top : top + random.integers(15, 30), left : left + 20] = colour
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fr.train("digits", "course", epochs=1, out=tmp_path_factory.mktemp("base") / "digits")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_photos(tmp_path_factory.mktemp("photos"), COLOURS, EACH)


@pytest.fixture(scope="module")
def taught(base: Run, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return base.teach(photos, out=tmp_path_factory.mktemp("taught") / "run", goal=0.99)


def test_the_new_run_says_how_well_it_was_taught(taught: Run) -> None:
    record = taught.record
    teaching = record.teaching
    assert teaching is not None
    assert record.data.classes == ("3", "kettle", "Kite") or set(record.data.classes) == set(COLOURS)
    assert [one["photos"] for one in teaching["per_class"]] == [EACH] * 3
    assert {one["class"]: one["known"] for one in teaching["per_class"]}["3"] == "3"
    assert teaching["validated_by"].startswith("leave-one-out")
    assert teaching["accuracy"] == record.validation.accuracy == taught.outcomes.kept.accuracy  # type: ignore[union-attr]
    assert teaching["accuracy"] > 0.7
    assert [point["photos_per_class"] for point in teaching["curve"]] == [1, 2, 3, 5, 6]
    assert teaching["forecast"]["photos_per_class"] == EACH + 10
    assert teaching["needed"]["accuracy"] == 0.99
    assert any("does not know 0, 1, 2, 4, 5, 6, 7, 8 and 9" in note for note in record.notes)


def test_it_answers_photos_alone_and_refuses_what_is_unlike_them(taught: Run, base: Run, tmp_path: Path) -> None:
    new = put_photos(tmp_path / "new", COLOURS, 4, seed=9)
    # The folder is all that is needed: the base run may go.
    moved = fr.open_run(shutil.copytree(taught.path, tmp_path / "moved"))
    files = sorted(new.glob("*/*.png"))
    answers = moved.answer(files)
    assert sum(answer.label == file.parent.name for answer, file in zip(answers, files, strict=True)) >= 9
    stripes = np.zeros((48, 48, 3), np.uint8)
    stripes[:, ::4] = 255
    assert moved.answer([Image.fromarray(stripes)])[0].unlike
    np.testing.assert_allclose(moved.predict(files), taught.predict(files))
    assert base.record.teaching is None


def test_answers_rest_on_photos_that_were_left_out(taught: Run, tmp_path: Path) -> None:
    # The head has seen all photos, so fitted on its own answers to them the judgement would be too sure.
    again = fr.open_run(shutil.copytree(taught.path, tmp_path / "again"))
    kept = taught.predictor.judgement
    (again.path / "judgement.npz").unlink()
    fitted = again.predictor.judgement
    assert fitted.temperature == pytest.approx(kept.temperature, rel=0.05)
    np.testing.assert_allclose(fitted.conformal.scores, kept.conformal.scores, atol=0.01)


def test_all_that_reads_runs_reads_it(
    taught: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "What the photos taught" in taught.report(tmp_path / "page.html").read_text()
    for command in ("show", "explain"):
        assert main([command, str(taught.path)]) == 0
    told = capsys.readouterr().out
    assert "photos of each class" in told
    assert f"fittingroom teach {taught.path}/base {photos}" in told
    with pytest.raises(RunError, match="taught by photos, and not trained"):
        replay(taught.path)
    with pytest.raises(RunError, match="taught by all photos"):
        taught.evaluate("score")
    with pytest.raises(RunError, match="the photos that the run was taught by"):
        taught.evaluate("score", on=str(photos))
    with pytest.raises(RunError, match="no single Keras model"):
        _ = taught.model
    inside = inner_view(taught)
    assert inside.features(np.zeros((2, 224, 224, 3), np.uint8)).shape == (2, 1280)
    assert inside.pixels(np.zeros((224, 224, 3), np.uint8), 0, 1).values.shape == (7, 7)
    other = put_photos(tmp_path / "other", COLOURS, 3, seed=4)
    assert taught.evaluate("score", on=str(other)).accuracy > 0.5


def test_a_taught_run_is_taught_again_and_keeps_what_it_knew(
    taught: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = put_photos(tmp_path / "more", {"kettle": COLOURS["kettle"], "sun": (240, 230, 30)}, 3, seed=5)
    assert main(["teach", str(taught.path), str(more), "--out", str(tmp_path / "again"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == str(tmp_path / "again")
    per_class = {one["class"]: one for one in facts["per_class"]}
    assert set(per_class) == {"3", "Kite", "kettle", "sun"}
    assert per_class["3"] == {**per_class["3"], "photos": 0, "of_the_run": EACH, "checked": EACH}
    assert per_class["kettle"]["of_the_run"] == EACH
    assert sum(one["right"] for one in facts["per_class"]) >= 18  # of 27
    assert (tmp_path / "again" / "base" / "base" / "seed-0").is_dir()
    assert facts["needed"] is None


def test_one_photo_a_class_teaches_without_a_check(base: Run, tmp_path: Path) -> None:
    alone = put_photos(tmp_path / "alone", COLOURS, 1)
    run = base.teach(alone, out=tmp_path / "run")
    assert run.record.validation is None
    assert run.record.teaching is not None
    assert run.record.teaching["accuracy"] is None
    assert any("one photo of each class" in note for note in run.record.notes)
    assert "not calibrated" in run.answer(sorted(alone.glob("*/*.png")))[0].why


def test_what_cannot_teach_is_refused(base: Run, photos: Path, tmp_path: Path) -> None:
    def refused(match: str, folder: Path, **settings: object) -> None:
        out = tmp_path / "out"
        with pytest.raises(InputError, match=match):
            base.teach(folder, out=out, **settings)
        assert not out.exists()

    refused("has one class", put_photos(tmp_path / "one", {"sun": (1, 2, 3)}, 2))
    clash = put_photos(tmp_path / "clash", {"sea_side": (1, 2, 3), "Sea-side": (9, 9, 9)}, 1)
    refused("'Sea-side' and 'sea_side' name one class", clash)
    same = put_photos(tmp_path / "same", {"sun": (1, 2, 3), "sea": (9, 9, 9)}, 2)
    shutil.copy(same / "sun" / "0.png", same / "sea" / "copy.png")
    refused("the same picture in two classes", same)
    parts = tmp_path / "parts"
    for part in ("train", "test"):
        put_photos(parts / part, {"sun": (1, 2, 3), "sea": (9, 9, 9)}, 1)
    refused("has a test part", parts)
    refused("above 0 and below 1", photos, goal=90)
    broken = put_photos(tmp_path / "broken", {"sun": (1, 2, 3), "sea": (9, 9, 9)}, 1)
    (broken / "sun" / "x.jpg").write_bytes(b"\xff\xd8\xff nothing")
    with pytest.raises(DataError, match=r"x\.jpg"):
        base.teach(broken)
    (broken / "sun" / "x.jpg").unlink()
    (broken / "empty").mkdir()
    with pytest.raises(DataError, match="'empty'"):
        base.teach(broken)


def test_names_of_classes_are_matched() -> None:
    names, known, notes = _matched(("t-shirt-top", "trousers", "Bag", "hat"), ("T-shirt/top", "Trouser", "Bag"))
    assert names == ("T-shirt/top", "trousers", "Bag", "hat")
    assert known == (0, None, 2, None)
    assert len(notes) == 2
    assert "is taken for the run's class 'T-shirt/top'" in notes[0]
    assert "If it is the run's 'Trouser'" in notes[1]


def test_the_base_is_a_link(taught: Run, base: Run) -> None:
    name = "weights.safetensors"
    assert (taught.path / "base" / "seed-0" / name).samefile(base.path / "seed-0" / name)
    assert read_layout(taught.path).seeds == (0,)
