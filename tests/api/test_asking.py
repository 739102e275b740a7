"""Photos are asked about as arrays are: by their path, or as pictures that Pillow has opened."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fittingroom as fr
from fittingroom.answers.recalibration import LabelShiftCalibration
from fittingroom.answers.stored import LABEL_SHIFT
from fittingroom.data.model_inputs import ModelInputs
from fittingroom.errors import DataError, RunError
from fittingroom.photos.conversion import Conversion
from fittingroom.photos.synthetic import synthetic_inputs
from tests.engine import models
from tests.photos.drawing import photo

pytestmark = pytest.mark.usefixtures("quick_compiler")

TINY = fr.Recipe(name="tiny", hidden=(16,), epochs=1, batch_size=64)
HELD_OUT = 50  # of each a synthetic photo is made, which takes a fiftieth of a second


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> fr.Run:
    return fr.train("digits", TINY, validation=HELD_OUT, out=tmp_path_factory.mktemp("asked") / "run")


@pytest.fixture
def shirt(tmp_path: Path) -> Path:
    path = tmp_path / "shirt.png"
    photo()[0].save(path)
    return path


def cut_out(run: fr.Run) -> ModelInputs:
    """The photo of these tests, as it goes into the model."""
    image = Conversion.of(photo()[0], run.style).image
    return ModelInputs(np.rint(image[None] * (16 / 255)).astype(np.uint8), np.array([True]))


def test_a_photo_is_converted_to_what_the_model_was_trained_on(run: fr.Run, shirt: Path) -> None:
    expected = run.predict(cut_out(run))
    for given in (shirt, str(shirt), Image.open(shirt), [shirt]):
        np.testing.assert_array_equal(run.predict(given), expected)


def test_several_photos_have_a_row_each_in_their_order(run: fr.Run, shirt: Path) -> None:
    other = photo(side=(60, 300))[0]
    both = run.predict([shirt, other])
    np.testing.assert_allclose(both, np.concatenate([run.predict(shirt), run.predict(other)]), rtol=1e-5)
    assert not np.array_equal(both[0], both[1])


def test_many_files_are_answered_together_and_no_more_than_fit_a_batch(
    run: fr.Run, shirt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fittingroom.answers.predictor._TOGETHER", 3)
    plain = np.random.default_rng(0).integers(0, 17, (9, 8, 8), np.uint8)
    files = [ModelInputs.plain(part) for part in (plain[:1], plain[1:2], plain[2:7], plain[7:])]
    files.insert(1, run.predictor.reader.read_file(shirt))
    expected = [run.answer(inputs) for inputs in files]
    sizes: list[int] = []
    answer = run.predictor.answer

    def counted(inputs: ModelInputs) -> list[fr.Answer]:
        sizes.append(len(inputs))
        return answer(inputs)

    monkeypatch.setattr(run.predictor, "answer", counted)
    answers = list(run.predictor.answer_each(files))
    assert sizes == [3, 5, 2]
    for some, others in zip(answers, expected, strict=True):
        assert [(one.why, one.set, one.unlike) for one in some] == [(one.why, one.set, one.unlike) for one in others]
        probabilities = [[one.probabilities for one in each] for each in (some, others)]
        np.testing.assert_allclose(probabilities[0], probabilities[1], rtol=1e-5)


def test_a_picture_of_the_models_size_goes_in_as_it_is(run: fr.Run) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    expected = run.predict(np.rint(pixels[None] * (16 / 255)).astype(np.uint8))
    np.testing.assert_array_equal(run.predict(Image.fromarray(pixels)), expected)
    np.testing.assert_array_equal(run.predict(Image.fromarray(pixels).convert("RGB")), expected)


def test_an_answer_to_a_photo_says_how_far_it_can_be_trusted(run: fr.Run, shirt: Path) -> None:
    [expected] = run.answer(cut_out(run))
    [answer] = run.answer(shirt)
    assert (answer.why, answer.set, answer.unlike) == (expected.why, expected.set, expected.unlike)


def test_what_is_cut_out_is_recalibrated_and_nothing_else_is(run: fr.Run, shirt: Path) -> None:
    pixels = cut_out(run).images
    plain, recalibrated = run.predict(pixels), run.predict(shirt)
    label_shift = run.predictor.judgement.label_shift
    assert label_shift is not None
    np.testing.assert_allclose(recalibrated, np.exp(label_shift.recalibrated(np.log(plain))), rtol=1e-4)
    assert np.abs(recalibrated - plain).max() > 0.01
    both = ModelInputs(np.concatenate([pixels, pixels]), np.array([False, True]))
    np.testing.assert_allclose(run.predict(both), np.concatenate([plain, recalibrated]), rtol=1e-4)
    unlike_photo, photo = run.answer(both)
    np.testing.assert_allclose(photo.probabilities, recalibrated[0], rtol=1e-4)
    np.testing.assert_allclose(unlike_photo.probabilities, run.answer(pixels)[0].probabilities, rtol=1e-4)


def test_the_class_that_is_named_has_the_largest_of_the_predicted_probabilities(run: fr.Run, shirt: Path) -> None:
    photos: list[Path | Image.Image] = [shirt, photo(side=(60, 300))[0], photo(side=(300, 60))[0]]
    named = [run.record.data.classes[index] for index in run.predict(photos).argmax(axis=1)]
    assert [answer.label for answer in run.answer(photos)] == named


def test_seeds_are_asked_alike(run: fr.Run, tmp_path: Path, shirt: Path) -> None:
    several = fr.train("digits", TINY, validation=HELD_OUT, seeds=2, out=tmp_path / "several")
    plain = np.mean([each.predict(cut_out(run).images) for each in several], axis=0)
    label_shift = several.predictor.judgement.label_shift
    assert label_shift is not None
    expected = np.exp(label_shift.recalibrated(np.log(plain)))
    np.testing.assert_allclose(several.predict(shirt), expected, rtol=1e-4)
    assert several.answer(shirt)[0].label == run.record.data.classes[int(expected.argmax())]


def test_a_photo_turned_by_its_camera_is_turned_back(run: fr.Run, tmp_path: Path) -> None:
    upright = photo()[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png", exif=exif)
    expected = run.predict(upright)
    np.testing.assert_array_equal(run.predict(tmp_path / "a.png"), expected)
    np.testing.assert_array_equal(run.predict(Image.open(tmp_path / "a.png")), expected)


def test_what_is_not_a_photo_is_refused_with_its_name(run: fr.Run, tmp_path: Path, shirt: Path) -> None:
    (tmp_path / "no.jpg").write_text("no")
    with pytest.raises(DataError, match=r"no\.jpg is not an image"):
        run.predict(tmp_path / "no.jpg")
    with pytest.raises(DataError, match=r"is a folder. Pass its files: sorted"):
        run.predict(tmp_path)
    with pytest.raises(DataError, match="30×3 pixels"):
        run.predict(Image.new("L", (30, 3)))
    cut = tmp_path / "cut.png"
    cut.write_bytes(shirt.read_bytes()[:5000])
    with Image.open(cut) as opened, pytest.raises(DataError, match=r"cut\.png cannot be decoded"):
        run.predict(opened)


def test_where_fit_got_arrays_a_photo_cannot_be_converted_to_them(tmp_path: Path, shirt: Path) -> None:
    x, y = np.random.default_rng(0).random((40, 8, 8), np.float32), np.arange(40) % 10
    run = fr.fit(models.small(), x, y, epochs=1, verbose=0, out=tmp_path / "run")
    with pytest.raises(RunError, match="trained on plain arrays"):
        run.predict(shirt)


def test_label_shift_is_learned_from_held_out_images_once_and_kept(run: fr.Run, shirt: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(run.path, tmp_path / "copy"))
    (copied / LABEL_SHIFT.name).unlink(missing_ok=True)
    opened, held_out = fr.open_run(copied), fr.load("digits", validation=HELD_OUT).validation
    opened.answer(cut_out(run).images)
    assert not (copied / LABEL_SHIFT.name).exists()  # no photo has been asked about
    expected = opened.predict(shirt)
    assert held_out is not None
    assert opened.style.foreground is not None
    made = synthetic_inputs(held_out.images, opened.style.foreground, 16.0)
    fitted = LabelShiftCalibration.of(opened.log_probabilities(made), held_out.labels)
    plain = opened.log_probabilities(cut_out(run).images)
    np.testing.assert_allclose(expected, np.exp(fitted.recalibrated(plain)), rtol=1e-4)
    written = (copied / LABEL_SHIFT.name).stat().st_mtime_ns
    np.testing.assert_array_equal(fr.open_run(copied).predict(shirt), expected)
    assert (copied / LABEL_SHIFT.name).stat().st_mtime_ns == written


def test_a_run_on_whole_pictures_recalibrates_nothing(tmp_path: Path, shirt: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(8):
            colour = (255 * (name == "a"), 20 * number, 0)
            Image.new("RGB", (8, 8), colour).save(tmp_path / "pictures" / name / f"{number}.png")
    run = fr.train(f"folder:{tmp_path / 'pictures'}", TINY, out=tmp_path / "run")
    run.predict(shirt)
    assert run.predictor.judgement.label_shift is None
    assert not (run.path / LABEL_SHIFT.name).exists()


@pytest.mark.parametrize(("count", "others"), [(200, 200), pytest.param(600, 500, marks=pytest.mark.slow)])
def test_recalibrated_answers_to_photos_fit_better_and_their_sets_cover(
    count: int, others: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fittingroom.answers.predictor.SYNTHETIC", count)
    data = fr.load("fashion-mnist")
    run = fr.train(data, fr.Recipe(name="small", hidden=(32,), epochs=1), out=tmp_path / "run")
    assert run.style.foreground is not None
    assert data.validation is not None
    unseen = slice(count, count + others)  # of which the calibration knows nothing
    made, labels = (
        synthetic_inputs(data.validation.images[unseen], run.style.foreground, 255.0),
        data.validation.labels[unseen],
    )
    photos = ModelInputs(made, np.ones(others, np.bool_))
    plain, recalibrated = (-np.log(run.predict(each)[np.arange(others), labels]).mean() for each in (made, photos))
    assert recalibrated < plain - 0.05
    covered, plain_covered = (
        np.mean([data.classes[label] in one.set for one, label in zip(run.answer(each), labels, strict=True)])
        for each in (photos, made)
    )
    assert covered == pytest.approx(0.9, abs=0.05)
    assert plain_covered < 0.8
