"""A run works without its dataset: moved, on another machine, when the pictures are gone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fittingroom as fr
from fittingroom.api.open_runs import open_run
from fittingroom.errors import DataError, RunError
from fittingroom.runs import images as kept
from fittingroom.runs.images import RunImages
from tests.data.builders import write_picture_folder
from tests.serving.serving import serving

pytestmark = pytest.mark.usefixtures("quick_compiler")

TINY = fr.Recipe(name="tiny", hidden=(8,), epochs=1, batch_size=64)


def answers(run: fr.Run, asked: Any) -> list[dict[str, Any]]:
    return [one.to_dict() for one in run.answer(asked)]


def move(run: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run in another folder of runs; the cache is empty."""
    place.mkdir()
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(place))
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(place / "cache"))
    return Path(shutil.move(run, place / "run"))


def test_a_run_on_pictures_works_when_they_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = write_picture_folder(tmp_path / "pictures", {"train/a": 30, "train/b": 30, "test/a": 4, "test/b": 4})
    run = fr.train(f"folder:{pictures}", replace(TINY, batch_size=8), validation=20)
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)).save(photo)
    before = answers(run, photo), run.predict(photo)
    moved = move(run.path, tmp_path / "other", monkeypatch)
    elsewhere = pictures.rename(tmp_path / "elsewhere")
    for name in ("judgement.npz", "correction.npz"):
        (moved / name).unlink(missing_ok=True)
    again = fr.open_run(moved)
    assert answers(again, photo) == before[0]
    np.testing.assert_array_equal(again.predict(photo), before[1])
    assert "data:image/png" in again.report().html
    assert "no_pictures" not in again.report().html
    assert str(again.explain())
    assert again.predictor.load().data.classes == ("a", "b")
    assert not (tmp_path / "other" / "cache" / "datasets").exists()
    with pytest.raises(DataError, match="there is no folder"):
        again.evaluate()
    np.savez(
        tmp_path / "a.npz", x=np.arange(1600, dtype=np.uint16).astype(np.uint8).reshape(100, 4, 4), y=np.arange(100) % 2
    )
    for other in ("digits", str(tmp_path / "a.npz")):  # neither is refused for a size that nobody gave
        with pytest.raises(RunError, match=rf"{other} is not the one that this run was trained on, folder:.*--data"):
            again.evaluate(data=other)
    assert again.evaluate(data=f"folder:{elsewhere}").look == 1
    assert fr.replay(moved, data=f"folder:{elsewhere}").same


@pytest.mark.slow
def test_a_moved_run_without_its_pictures_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = write_picture_folder(tmp_path / "pictures", {"train/a": 30, "train/b": 30, "test/a": 4, "test/b": 4})
    run = fr.train(f"folder:{pictures}", replace(TINY, batch_size=8), validation=20)
    asked = np.zeros((1, *run.record.data.image_shape), np.uint8)
    moved = move(run.path, tmp_path / "other", monkeypatch)
    shutil.rmtree(pictures)
    with serving(moved) as server:
        reply = server.numbers(asked.tolist())
    assert reply.status == 200
    (served,) = reply.json["predictions"]
    (here,) = fr.open_run(moved).answer(asked)
    assert served["class"] == here.label
    assert served["probability"] == pytest.approx(here.probability, abs=1e-5)


def test_photos_are_answered_without_the_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = fr.train("digits", TINY, seeds=2, validation=24)
    photo = tmp_path / "photo.png"
    dark = np.full((60, 60), 230, np.uint8)
    dark[10:50, 25:35] = 20
    Image.fromarray(dark).save(photo)
    before = answers(runs, photo)
    moved = move(runs.path, tmp_path / "other", monkeypatch)
    for name in ("judgement.npz", "correction.npz"):
        (moved / name).unlink()
    monkeypatch.setattr(
        "fittingroom.runs.data_record.DataRecord.load_again", lambda *arguments: pytest.fail("the data were loaded")
    )
    assert answers(open_run(moved), photo) == before
    assert fr.open_run(moved / "seed-1").style.foreground is not None


def test_a_hundred_runs_keep_their_images_once(runs_dir: Path) -> None:
    data = fr.load("digits")
    runs = [fr.train(data, TINY), fr.train(data, TINY, seed=1), fr.train(data, TINY, seeds=2)]
    files = [file for run in runs for file in run.path.rglob("images-*.npz")]
    assert len(files) == 7
    assert len({file.stat().st_ino for file in files}) == 1
    assert files[0].stat().st_nlink == 7
    other = fr.train(fr.load("digits", split_seed=1), TINY)
    assert next(other.path.glob("images-*.npz")).name != files[0].name


def test_more_validation_images_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    data = fr.load("digits", validation=40)
    monkeypatch.setattr(kept, "MOST_VALIDATION", 64 * 20)
    run = fr.train(data, TINY)
    assert (run.path / "judgement.npz").is_file()
    images = RunImages.read(run.path, data.classes, data.scale)
    assert images is not None
    assert images.validation is not None
    assert data.validation is not None
    assert (len(images.validation), images.whole) == (20, False)
    np.testing.assert_array_equal(images.validation.images, data.validation.images[images.index])
    monkeypatch.setattr(
        "fittingroom.runs.data_record.DataRecord.load_again", lambda *arguments: pytest.fail("the data were loaded")
    )
    again = fr.open_run(run.path)
    assert answers(again, data.train.images[:3]) == answers(run, data.train.images[:3])
    shown = again.report().html
    assert '"total": 40' in shown or '"total":40' in shown
    assert "data:image/png" in shown


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    images = RunImages.of(fr.load("digits"))
    images.write(tmp_path)
    back = RunImages.read(tmp_path, images.train.classes, 16.0)
    assert back is not None
    assert back.content == images.content


@pytest.mark.parametrize("place", [30, 5_000, -400, -60])
def test_damage_to_the_images_is_a_run_error(tmp_path: Path, place: int) -> None:
    images = RunImages.of(fr.load("digits"))
    images.write(tmp_path)
    (file,) = tmp_path.glob("images-*.npz")
    content = bytearray(file.read_bytes())
    content[place] ^= 64
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"images-\w+\.npz is damaged"):
        RunImages.read(tmp_path, images.train.classes, 16.0)


def test_reports_and_answers_open_no_folder_that_a_foreign_record_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = write_picture_folder(tmp_path / "pictures", {"a": 20, "b": 20})
    run = fr.train(f"folder:{pictures}", replace(TINY, batch_size=8))
    (file,) = run.path.glob("images-*.npz")
    file.unlink()  # as an older version leaves a run behind
    asked = fr.open_run(run.path)
    asked.use_data(f"folder:{pictures}")
    with monkeypatch.context() as patch:
        patch.setattr(
            "fittingroom.runs.data_record.DataRecord.load_again", lambda *arguments: pytest.fail("it was opened")
        )
        patch.setattr(
            "fittingroom.runs.data_record.DataRecord.load_again", lambda *arguments: pytest.fail("it was opened")
        )
        assert "is not opened unasked" in fr.open_run(run.path).report().html
        assert fr.open_run(run.path).answer(np.zeros((1, *run.record.data.image_shape), np.uint8))
    assert not list(run.path.glob("judgement*"))  # what was learned without images is not kept for later
    monkeypatch.setattr(
        "fittingroom.runs.data_record.DataRecord.load_unasked", lambda *arguments: pytest.fail("it was opened")
    )
    assert asked.answer(np.zeros((1, *run.record.data.image_shape), np.uint8))
    assert list(run.path.glob("judgement*"))
