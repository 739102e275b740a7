"""The ways from pictures of any shape and colour to images, in training, in prediction and when data are read again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fittingroom as fr
from fittingroom.data.dataset import Dataset
from fittingroom.data.decode import all_pictures
from fittingroom.data.load import load
from fittingroom.data.pictures import Picture
from fittingroom.data.ranges import ValueRange
from fittingroom.data.resizing import RESIZE_RULES, Resizing, fitted
from fittingroom.errors import DataError
from fittingroom.photos.conversion import Style
from fittingroom.photos.photo_reader import PhotoReader
from fittingroom.recipes.named import find_recipe
from fittingroom.training.arguments import load_for


def stripes(width: int, height: int, seed: int = 0) -> Image.Image:
    """Black, with a white middle third across its longest edge, and one coloured pixel that differs by the seed."""
    pixels = np.zeros((height, width, 3), np.uint8)
    long = max(width, height)
    middle = slice(long // 3, 2 * long // 3)
    pixels[(slice(None), middle) if width > height else (middle, slice(None))] = 255
    pixels[0, 0] = (200, seed % 256, 0)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty JPEGs in two classes, some so large that they are reduced while they are decoded."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for label, sides in (("tall", (600, 1200)), ("wide", (1200, 600))):
        (root / label).mkdir()
        for number in range(10):
            small = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8).astype(np.uint8))
            small.resize(sides, Image.Resampling.BICUBIC).save(root / label / f"{number}.jpg")
    return root


def test_crop_keeps_the_middle_pad_keeps_all_and_stretch_keeps_neither() -> None:
    wide = stripes(90, 30)
    whole = np.asarray(fitted(wide, 30, 30, "pad").convert("L"))
    assert (whole[:10] == 0).all()
    assert (whole[12:18, 12:18] == 255).all()
    assert (np.asarray(fitted(wide, 30, 30, "crop").convert("L")) == 255).all()  # the white third alone
    stretched = np.asarray(fitted(wide, 30, 30, "stretch").convert("L"))
    assert (stretched[:, 12:18] == 255).all()
    assert (stretched[1:, :8] == 0).all()
    tall = fitted(wide.transpose(Image.Transpose.TRANSPOSE), 30, 60, "crop")  # half as high as wide, from a tall one
    assert tall.size == (60, 30)
    for aspect in RESIZE_RULES:
        assert fitted(wide, 30, 90, aspect) is wide
        for size in ((1, 300), (300, 1), (3, 2)):
            assert fitted(wide, *size, aspect).size == size[::-1]
            assert fitted(stripes(1, 500), *size, aspect).size == size[::-1]


def test_a_reduced_jpeg_gives_nearly_the_image_that_a_whole_one_gives(photos: Path) -> None:
    resizing = Resizing("crop")
    at_least = resizing.at_least(64, 64)
    assert at_least == 256
    assert Resizing().at_least(64, 64) is None
    path = photos / "wide" / "0.jpg"
    reduced, whole = Picture.open(path, at_least=at_least).image, Picture.open(path).image
    assert min(reduced.size) == 300
    assert min(whole.size) == 600
    difference = resizing.image(reduced, 64, 64).astype(int) - resizing.image(whole, 64, 64)
    assert np.abs(difference).mean() < 1


@pytest.mark.parametrize("aspect", ["crop", "stretch"])
def test_a_photo_is_converted_as_the_pictures_of_training_were(photos: Path, aspect: str) -> None:
    data = load(photos, image_size=48, aspect=aspect, validation=0)
    style = Style.of(data.name, data.train, aspect)
    reader = PhotoReader(data.image_shape, ValueRange.of_scale(255.0), lambda: style)
    inputs = reader.read_file(photos / data.train.files[3])
    np.testing.assert_array_equal(inputs.images[0], data.train.images[3])
    assert inputs.steps[-1].note == RESIZE_RULES[aspect] == data.info.resize_rule


def test_colours_are_as_chosen(tmp_path: Path) -> None:
    grey, coloured = tmp_path / "grey", tmp_path / "coloured"
    for root in (grey, coloured):
        for label in ("a", "b"):
            (root / label).mkdir(parents=True)
            for number in range(4):
                picture = stripes(28, 28, 10 * number + (label == "b"))
                (picture if root is coloured else picture.convert("L")).save(root / label / f"{number}.png")
    assert load(grey).image_shape == (28, 28)
    assert load(coloured).image_shape == (28, 28, 3)
    as_rgb, as_grey = load(grey, color_mode="rgb", validation=0), load(coloured, color_mode="grayscale", validation=0)
    assert as_rgb.image_shape == (28, 28, 3)
    assert as_grey.image_shape == (28, 28)
    np.testing.assert_array_equal(as_rgb.train.images[..., 2], load(grey, validation=0).train.images)
    first = Image.open(coloured / as_grey.train.files[0]).convert("L")
    np.testing.assert_array_equal(as_grey.train.images[0], np.asarray(first))


def test_arguments_are_kept_only_where_they_differ_from_the_usual(photos: Path) -> None:
    usual, chosen = load(photos, image_size=20), load(photos, image_size=20, aspect="crop", color_mode="grayscale")
    assert usual.arguments.keys() == {"name", "validation", "split_seed", "data_dir", "image_size"}
    assert {key: chosen.arguments[key] for key in ("aspect", "color_mode")} == {
        "aspect": "crop",
        "color_mode": "grayscale",
    }
    again: Dataset = load(**chosen.arguments)
    assert again.fingerprint == chosen.fingerprint != usual.fingerprint
    # One test set, whatever becomes of its pictures.
    opened = [data.test.open("test") for data in (usual, chosen)]
    assert opened[0].files == opened[1].files
    assert usual.test.openings[0].source_fingerprint == chosen.test.openings[0].source_fingerprint


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("folder", {"aspect": "zoom"}, "aspect='zoom'; expected 'pad', 'crop' or 'stretch'"),
        ("folder", {"color_mode": ["rgb"]}, r"color_mode=\['rgb'\]; expected 'auto', 'rgb' or 'grayscale'"),
        ("digits", {"aspect": "crop"}, "aspect cannot be given for 'digits', whose images have a size already"),
        ("digits", {"color_mode": "rgb"}, "color_mode cannot be given for 'digits'"),
    ],
)
def test_a_way_that_does_not_exist_is_refused(photos: Path, name: str, arguments: dict[str, str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        load(photos if name == "folder" else name, **arguments)  # type: ignore[arg-type]


def test_all_pictures_of_a_folder_are_taken_where_a_class_has_one(photos: Path, tmp_path: Path) -> None:
    for label, names in (("one", ["wide/0.jpg"]), ("two", ["tall/0.jpg", "tall/1.jpg"])):
        (tmp_path / label).mkdir()
        for name in names:
            shutil.copy(photos / name, tmp_path / label)
    part, notes = all_pictures(tmp_path, 32, 40, Resizing("crop", "rgb"))
    assert (part.images.shape, part.labels.tolist(), part.classes) == ((3, 32, 40, 3), [0, 1, 1], ("one", "two"))
    assert part.files == ("one/0.jpg", "two/0.jpg", "two/1.jpg")
    assert "3 pictures cropped and resized to 32x40" in notes[-1]
    images = load(photos, image_size=(32, 40), aspect="crop", color_mode="rgb", validation=0).train
    np.testing.assert_array_equal(part.images[1], images.images[images.files.index("tall/0.jpg")])


def test_a_recipe_with_a_backbone_gets_pictures_of_its_size_unless_the_user_chose(photos: Path) -> None:
    nothing = dict.fromkeys(("validation", "data_dir", "image_size", "aspect", "color_mode"))
    transfer, course = find_recipe("transfer"), find_recipe("course")
    data = load_for([transfer], photos, nothing)
    assert (data.image_shape, data.arguments["aspect"], data.arguments["color_mode"]) == ((224, 224, 3), "crop", "rgb")
    assert data.notes[-1].startswith(
        "224x224 pixels is what the backbone efficientnet-lite0 was trained on, so that size"
    )
    assert load_for([transfer, course], photos, nothing).image_shape == (64, 64, 3)
    chosen = load_for(
        [transfer], str(photos), {**nothing, "image_size": 48, "aspect": "pad", "color_mode": "grayscale"}
    )
    assert (chosen.image_shape, chosen.arguments.get("aspect")) == ((48, 48), None)
    assert not any("backbone" in note for note in chosen.notes)
    assert load_for([transfer], "digits", nothing).image_shape == (8, 8)
    with pytest.raises(DataError, match="there is no file or folder"):
        load_for([transfer], photos / "nowhere", nothing)
    assert load_for([transfer], data, nothing) is data


def test_a_run_predicts_scores_and_replays_with_the_pictures_resized_as_in_training(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    run = fr.train(
        photos, "course", epochs=1, image_size=16, aspect="crop", color_mode="grayscale", out=tmp_path / "run"
    )
    data = load(photos, image_size=16, aspect="crop", color_mode="grayscale")
    assert run.record.data.fingerprint == data.fingerprint
    assert data.validation is not None
    files = [photos / name for name in data.validation.files]
    np.testing.assert_array_equal(run.predict(files), run.predict(data.validation.images))
    assert fr.replay(run.path).same
    moved = shutil.copytree(photos, tmp_path / "moved")
    assert run.evaluate(data=str(moved)).accuracy == run.evaluate().accuracy
    # Another folder becomes what the run takes: here coloured pictures, for a run on grey ones.
    (moved / "tall" / "0.jpg").unlink()
    assert len(run.evaluate(on=str(moved))) == 1
    # The same answers without the run's own test set are a look that is counted.
    whole = [photos / name for name in load(photos, image_size=16).test.open("names").files]
    with caplog.at_level("WARNING", "fittingroom"):
        run.predict(whole)
    assert "has the run's own sealed test set" in caplog.text
