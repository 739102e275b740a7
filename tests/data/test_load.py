from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fittingroom.data.catalogue import DIGITS, FASHION_MNIST
from fittingroom.data.dataset import Dataset
from fittingroom.data.load import load
from fittingroom.errors import DataError, DatasetNotFoundError, InputError, UnknownNameError
from tests.data.builders import images, labels, write_four_files, write_picture_folder


def save_npz(path: Path, **changes: Any) -> str:
    """An NPZ file as Keras has them, with changes; a change to None leaves an array out."""
    arrays: dict[str, Any] = {
        "x_train": images(60, seed=1),
        "y_train": labels(30, 20, 10),
        "x_test": images(12, seed=2),
        "y_test": labels(6, 4, 2),
    }
    np.savez(path, **{name: array for name, array in (arrays | changes).items() if array is not None})
    return f"npz:{path}"


def test_fashion_mnist_is_what_its_authors_published(fashion_mnist: Dataset) -> None:
    data = fashion_mnist
    assert data.train.images.shape == (55_000, 28, 28)
    assert data.train.counts() == (5500,) * 10
    assert data.validation is not None
    assert data.validation.counts() == (500,) * 10
    assert data.test.counts() == (1000,) * 10
    assert data.classes[9] == "Ankle boot"
    assert (data.image_shape, data.scale, data.notes) == ((28, 28), 255.0, ())
    assert data.source == "Debian package dataset-fashion-mnist (/usr/share/datasets/fashion-mnist)"


def test_the_first_image_of_fashion_mnist_is_an_ankle_boot(
    fashion_mnist_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(fashion_mnist_cache))
    train = load("fashion-mnist", validation=0).train
    assert train.classes[train.labels[0]] == "Ankle boot"
    assert train.images[0].sum() == 76247
    assert 0.2860 < train.images.mean() / 255 < 0.2861


def test_fashion_mnist_comes_from_the_cache_without_a_copy(
    fashion_mnist_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(fashion_mnist_cache))
    load("fashion-mnist", validation=0)  # what Python and NumPy import at first use is not counted
    tracemalloc.start()
    data = load("fashion-mnist", validation=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    base: object = data.train.images
    while isinstance(base, np.ndarray) and base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert peak < data.train.images.nbytes / 10


def test_the_split_of_fashion_mnist_is_this_one_on_every_machine(fashion_mnist: Dataset) -> None:
    assert fashion_mnist.validation is not None
    assert hashlib.sha256(fashion_mnist.validation.images.tobytes()).hexdigest()[:16] == "61f96aefd59abcb5"


def test_train_and_validation_together_are_all_training_images(
    fashion_mnist: Dataset, fashion_mnist_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = load("fashion-mnist", validation=0)
    assert everything.validation is None
    assert everything.fingerprint == fashion_mnist.fingerprint
    assert fashion_mnist.validation is not None
    both = [*fashion_mnist.train.images, *fashion_mnist.validation.images]
    assert sorted(image.tobytes() for image in both) == sorted(image.tobytes() for image in everything.train.images)


def test_digits_are_always_there(tmp_path: Path) -> None:
    data = load("digits")
    assert data.validation is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (1317, 120, 360)
    assert (data.image_shape, data.scale, data.notes) == ((8, 8), 16.0, ())
    assert data.train.x.max() == 1.0
    assert data.fingerprint == DIGITS.train_fingerprint
    assert data.test.fingerprint == DIGITS.test_fingerprint
    everything = load("digits", validation=0)
    assert everything.train.counts() == DIGITS.train_counts
    assert everything.test.counts() == DIGITS.test_counts


def test_digits_come_from_the_cache_without_scikit_learn() -> None:
    load("digits")
    code = (
        "import sys\nfrom fittingroom.data.load import load\nload('digits')\n"
        "print(sorted({'sklearn', 'PIL', 'pooch', 'rich', 'keras', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_the_arguments_of_a_dataset_load_it_again(tmp_path: Path) -> None:
    write_four_files(tmp_path / "mine")
    write_picture_folder(tmp_path / "pets", {"a": 9, "b": 9})
    for data in (
        load("digits", validation=0.1, split_seed=3),
        load(f"idx:{tmp_path / 'mine'}", validation=7),
        load(f"folder:{tmp_path / 'pets'}", image_size=(14, 20)),
    ):
        again = load(**json.loads(json.dumps(dict(data.arguments))))
        np.testing.assert_array_equal(again.train.images, data.train.images)
        assert (again.name, again.fingerprint, again.test.fingerprint) == (
            data.name,
            data.fingerprint,
            data.test.fingerprint,
        )


def test_a_data_dir_can_be_text(tmp_path: Path, fashion_mnist_folder: Path) -> None:
    data = load("fashion-mnist", data_dir=str(fashion_mnist_folder))
    assert data.arguments["data_dir"] == str(fashion_mnist_folder)
    assert load(**data.arguments).fingerprint == data.fingerprint


@pytest.mark.parametrize("validation", [0, 7, 0.25, None])
def test_only_the_split_depends_on_the_seed(validation: float | None) -> None:
    one, other = (load("digits", validation=validation, split_seed=seed) for seed in (0, 1))
    assert one.fingerprint == other.fingerprint
    assert one.test.fingerprint == other.test.fingerprint
    assert np.array_equal(one.train.images, other.train.images) == (validation == 0)


def test_four_idx_files_of_ones_own_are_a_dataset(tmp_path: Path) -> None:
    write_four_files(tmp_path / "mine", suffix="")
    data = load(f"idx:{tmp_path / 'mine'}", validation=6)
    assert data.classes == ("0", "1", "2")
    assert data.train.counts() == (27, 18, 9)
    assert data.validation is not None
    assert data.validation.counts() == (3, 2, 1)
    np.testing.assert_array_equal(data.test.open("test").images, images(12, seed=2))


def test_a_relative_path_becomes_part_of_the_name_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_four_files(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert load("idx:mine").name == f"idx:{tmp_path / 'mine'}"


def test_an_npz_file_as_keras_has_them_is_a_dataset(tmp_path: Path) -> None:
    data = load(save_npz(tmp_path / "a.npz"), validation=0)
    np.testing.assert_array_equal(data.train.images, images(60, seed=1))
    np.testing.assert_array_equal(data.test.open("test").labels, labels(6, 4, 2))
    assert data.notes == ()


def test_an_npz_file_without_a_test_part_gets_one_cut_with_a_note(tmp_path: Path) -> None:
    data = load(save_npz(tmp_path / "a.npz", x_test=None, y_test=None), validation=0)
    assert (len(data.train), len(data.test)) == (51, 9)
    assert "The data have no test part, so one was set aside: 9 of" in data.notes[0]


@pytest.mark.parametrize(
    ("gone", "missing"),
    [(["x_train"], "x_train"), (["y_train", "x_train"], "x_train and y_train"), (["y_test"], "y_test")],
)
def test_an_npz_file_without_the_arrays_lists_those_it_has(tmp_path: Path, gone: list[str], missing: str) -> None:
    name = save_npz(tmp_path / "a.npz", **dict.fromkeys(gone), extra=np.zeros(3))
    with pytest.raises(DataError, match=f"has the arrays .*extra; missing: {missing}. Expected x_train and y_train"):
        load(name)


def test_floats_of_an_npz_file_are_guessed_and_said(tmp_path: Path) -> None:
    data = load(save_npz(tmp_path / "a.npz", x_train=images(60) / 255, x_test=images(12, seed=2) / 255), validation=0)
    np.testing.assert_array_equal(data.train.images, images(60))
    assert "x_train of" in data.notes[0]
    assert "taken as 0-1 and multiplied by 255" in data.notes[0]


def test_npz_labels_in_a_column_are_labels(tmp_path: Path) -> None:
    data = load(save_npz(tmp_path / "a.npz", y_train=labels(30, 20, 10)[:, None].astype(float)), validation=0)
    np.testing.assert_array_equal(data.train.labels, labels(30, 20, 10))


def test_an_npz_file_that_changed_is_read_again(tmp_path: Path) -> None:
    before = load(save_npz(tmp_path / "a.npz"))
    after = load(save_npz(tmp_path / "a.npz", x_train=images(60, seed=9)))
    assert before.fingerprint != after.fingerprint
    assert before.test.fingerprint == after.test.fingerprint


def test_pictures_in_colour_come_from_npz_too(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (72, 6, 5, 3), np.uint8)
    data = load(save_npz(tmp_path / "a.npz", x_train=colour[:60], x_test=colour[60:]))
    assert data.image_shape == (6, 5, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "fashon-mnist",
            "unknown dataset 'fashon-mnist'. Did you mean 'fashion-mnist'.*folder:FOLDER, npz:FILE, csv:FILE",
        ),
        ("foldr:pets", "unknown form of dataset 'foldr:'. Did you mean 'folder:FOLDER'"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(name: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        load(name)


@pytest.mark.parametrize("name", ["idx:", "npz:", "folder:"])
def test_a_form_without_a_path_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"needs the path of a (file|folder) after the colon"):
        load(name)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"there is no file .*a.npz"):
        load(f"npz:{tmp_path / 'a.npz'}")


def test_an_image_size_is_for_folders_only() -> None:
    with pytest.raises(DataError, match="image_size cannot be given for 'digits'"):
        load("digits", image_size=(28, 28))


def test_a_negative_split_seed_is_refused() -> None:
    with pytest.raises(DataError, match="split_seed=-1; expected a whole number from 0"):
        load("digits", split_seed=-1)


@pytest.mark.parametrize("validation", [-1, 1437, 2.0])
def test_an_impossible_validation_part_is_refused(validation: float) -> None:
    with pytest.raises(DataError, match=r"validation(=| is )"):
        load("digits", validation=validation)


def test_nothing_in_a_dataset_but_opening_reaches_a_test_label(fashion_mnist: Dataset) -> None:
    """Walks everything that can be reached by public names from a dataset."""
    test_images = {image.tobytes() for image in fashion_mnist.test.open("this test").images[:200]}
    arrays, seen, queue = [], set(), [fashion_mnist]
    while queue:
        thing = queue.pop()
        if id(thing) in seen or isinstance(thing, str | int | float):
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            arrays.append(thing)
        elif isinstance(thing, tuple):
            queue += thing
        elif type(thing).__module__.startswith("fittingroom"):
            names = [name for name in dir(thing) if not name.startswith("_") and name not in {"x", "open"}]
            queue += [getattr(thing, name) for name in names]
    assert len(arrays) == 6  # images, labels and positions of the training and the validation part
    for array in arrays:
        if array.ndim == 3:
            assert not test_images & {image.tobytes() for image in array}


def test_the_classes_of_fashion_mnist_stand_in_the_order_of_its_labels() -> None:
    assert FASHION_MNIST.classes[:3] == ("T-shirt/top", "Trouser", "Pullover")


@pytest.mark.parametrize("names", ["{letter}_{part}", "{part}_{word}", "{word}_{part}", "{LETTER}_{part}"])
def test_the_arrays_of_an_npz_file_go_by_the_names_that_people_give_them(tmp_path: Path, names: str) -> None:
    """MedMNIST's labels are a column, and its parts are train, val and test."""
    arrays: dict[str, Any] = {}
    for number, part in enumerate(("train", "val", "test")):
        for letter, word, array in (("x", "images", images(30, seed=number)), ("y", "labels", labels(18, 12)[:, None])):
            arrays[names.format(letter=letter, LETTER=letter.upper(), word=word, part=part)] = array
    np.savez(tmp_path / "a.npz", **arrays, class_names=np.array(["cat", "dog"]))
    data = load(f"npz:{tmp_path / 'a.npz'}")
    assert data.validation is not None
    np.testing.assert_array_equal(data.train.images, images(30, seed=0))
    np.testing.assert_array_equal(data.validation.images, images(30, seed=1))
    np.testing.assert_array_equal(data.test.open("test").images, images(30, seed=2))
    assert (data.classes, data.notes) == (("cat", "dog"), ())


def test_text_labels_of_an_npz_file_name_its_classes(tmp_path: Path) -> None:
    text = np.array(["b", "a10", "a2"])
    data = load(save_npz(tmp_path / "a.npz", y_train=text[labels(30, 20, 10)], y_test=text[labels(6, 4, 2)]))
    assert data.classes == ("a2", "a10", "b")
    assert data.test.counts() == (2, 4, 6)


def test_what_is_not_used_of_an_npz_file_is_said(tmp_path: Path) -> None:
    name = save_npz(tmp_path / "a.npz", extra=np.zeros(3), y_val=None, weights=np.ones(60))
    assert "Not used in a.npz: extra and weights. Expected are x_train and y_train" in load(name).notes[0]
    with pytest.raises(DataError, match=r"x_train and train_images, and either could be the train images"):
        load(save_npz(tmp_path / "a.npz", train_images=images(60)))
    with pytest.raises(DataError, match=r"missing: y_val"):
        load(save_npz(tmp_path / "a.npz", x_val=images(3)))
    with pytest.raises(DataError, match=r"class_names of .* has the shape \(1, 2\)"):
        load(save_npz(tmp_path / "a.npz", class_names=np.array([["a", "b"]])))


def test_a_class_that_only_validation_has_is_refused_and_one_that_it_lacks_is_said(tmp_path: Path) -> None:
    few = {"x_val": images(4, seed=7), "y_val": labels(2, 2)}
    assert "The validation part has no image of 2." in load(save_npz(tmp_path / "a.npz", **few)).notes
    with pytest.raises(DataError, match="1 of 4 classes have no training image: '3'"):
        load(save_npz(tmp_path / "a.npz", x_val=images(4, seed=7), y_val=labels(1, 1, 1, 1)))


def test_a_path_alone_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_picture_folder(tmp_path / "pets", {"a": 9, "b": 9})
    write_four_files(tmp_path / "idx")
    save_npz(tmp_path / "a.npz")
    monkeypatch.chdir(tmp_path)
    for bare, form in (("./pets", "folder:pets"), ("pets", "folder:pets"), ("idx", "idx:idx"), ("a.npz", "npz:a.npz")):
        assert load(bare).name == load(form).name
    assert load("./pets", image_size=(9, 9)).image_shape == (9, 9)
    with pytest.raises(DataError, match="whose images have a size already; it is for folders"):
        load("a.npz", image_size=(9, 9))


def test_another_form_or_file_is_answered_with_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_picture_folder(tmp_path / "pets", {"a": 1, "b": 1})
    save_npz(tmp_path / "a.npz")
    write_four_files(tmp_path / "idx")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.write(root / "a" / "000.png", "a/000.png")
    with zipfile.ZipFile(tmp_path / "table.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    (tmp_path / "a.txt").write_text("label,pixel0")
    write_four_files(tmp_path / "MNIST" / "raw")
    write_four_files(tmp_path / "emnist")
    for path in list((tmp_path / "emnist").iterdir()):
        path.rename(path.with_name(f"emnist-{path.name}"))
    (tmp_path / "photos.tar.gz").write_bytes(gzip.compress(bytes(257) + b"ustar" + bytes(250)))
    monkeypatch.chdir(tmp_path)
    for name, message in {
        "npz:pets": rf"pets is a folder, but npz: expects an NPZ file.*Did you mean folder:{root}\?",
        "idx:pets": rf"idx: expects a folder with the four files.*Did you mean folder:{root}\?",
        "folder:idx": rf"Did you mean idx:{tmp_path / 'idx'}\?",
        "folder:a.npz": rf"is a file, but folder: expects.*Did you mean npz:{tmp_path / 'a.npz'}\?",
        "folder:pets/a/000.png": rf"One picture is not a dataset; load the folder.*folder:{root}\.",
        "./pest": rf"no file or folder {tmp_path / 'pest'}. Did you mean {root}\?",
        "folder:pest": rf"there is no folder {tmp_path / 'pest'}; expected .* Did you mean {root}\?",
        "photos.zip": rf"ZIP archive with 1 .png files.*zipfile -e photos.zip photos.*folder:{tmp_path}/photos\.",
        "folder:photos.zip": r"is a ZIP archive with 1 .png files",
        "https://example.org/a.npz": "is an address, and only local files can be loaded",
        "C:\\data\\pets": r"there is no file or folder .*C:",
        "table.xlsx": "is an office document. Save its table as CSV",
        "a.txt": rf"If it is a CSV file, load csv:{tmp_path / 'a.txt'}\.",
        "MNIST": rf"no IDX files, but its folder raw does. Load idx:{tmp_path / 'MNIST' / 'raw'}\.",
        "idx:MNIST": rf"Load idx:{tmp_path / 'MNIST' / 'raw'}\.",
        "idx:emnist": r"has the IDX files emnist-t10k-images.*; expected train-images-idx3-ubyte.* Rename them\.",
        "photos.tar.gz": r"looks like a packed tar archive \(.tar.gz\); expected a folder.*Unpack it first",
        "idx/train-images-idx3-ubyte.gz": rf"Load its folder: idx:{tmp_path / 'idx'}\.",
    }.items():
        with pytest.raises(DataError, match=message):
            load(name)
    with pytest.raises(InputError, match="begins with ~nobody-here, and this system knows no home folder for it"):
        load("folder:~nobody-here/pets")


def test_rows_of_pixels_are_pictures_unless_the_label_is_still_in_them(tmp_path: Path) -> None:
    flat = {"x_train": images(60, seed=1).reshape(60, 784), "x_test": images(12, seed=2).reshape(12, 784)}
    data = load(save_npz(tmp_path / "a.npz", **flat), validation=0)
    np.testing.assert_array_equal(data.train.images, images(60, seed=1))
    assert "each row of 784 values is taken as a picture of 28x28." in data.notes[0]
    with pytest.raises(DataError, match=r"shape \(60, 785\): one column more than .* Is the label still in it\?"):
        load(save_npz(tmp_path / "a.npz", x_train=np.zeros((60, 785), np.uint8)))
