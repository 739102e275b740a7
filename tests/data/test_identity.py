from __future__ import annotations

import gzip
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fittingroom.data.catalogue import FASHION_MNIST, FOUR_FILES, KMNIST, MNIST, CatalogueEntry
from fittingroom.data.dataset import Dataset
from fittingroom.data.load import _catalogued, load
from fittingroom.errors import DataError
from tests.data.builders import idx_bytes, labels, write_four_files


def write_with_counts_of(entry: CatalogueEntry, folder: Path) -> Path:
    """Four files with as many images of each class as a dataset has, each image of one colour."""
    folder.mkdir()
    for names, counts in ((FOUR_FILES[:2], entry.train_counts), (FOUR_FILES[2:], entry.test_counts)):
        y = labels(*counts)
        x = np.zeros((len(y), 28, 28), np.uint8)
        x[:, :3, 0] = (np.arange(len(y))[:, None] // [1, 256, 65536] + len(y)) % 256  # no two alike
        for name, array in zip(names, (x, y), strict=True):
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array), 1))
    return folder


@pytest.fixture(scope="module")
def like_mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_with_counts_of(MNIST, tmp_path_factory.mktemp("identity") / "files")


def publishing(entry: CatalogueEntry, paths: dict[str, Path]) -> CatalogueEntry:
    """A dataset of the table, but with the checksums of these files."""
    checksums = {f"{name}.gz": hashlib.md5(path.read_bytes()).hexdigest() for name, path in paths.items()}
    return replace(entry, classes=("a", "b", "c"), info=replace(entry.info, checksums=checksums))


def swapped(paths: dict[str, Path]) -> dict[str, Path]:
    """The same files, those of train under the names of test and the other way round."""
    names = (*FOUR_FILES[2:], *FOUR_FILES[:2])
    return dict(zip(names, paths.values(), strict=True))


def test_files_with_mnists_counts_in_place_of_fashion_mnist_are_named(like_mnist: Path) -> None:
    with pytest.raises(DataError, match="are not Fashion-MNIST's; by their counts per class they look like MNIST"):
        load("fashion-mnist", data_dir=like_mnist)


def test_files_with_mnists_checksums_in_place_of_fashion_mnist_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mnist = publishing(MNIST, write_four_files(tmp_path / "m"))
    monkeypatch.setattr("fittingroom.data.published.CATALOGUE", {"mnist": mnist})
    with pytest.raises(
        DataError,
        match=r"is train-images-idx3-ubyte.gz of MNIST, by its checksum. Fashion-MNIST was expected: load 'mnist'",
    ):
        load("fashion-mnist", data_dir=tmp_path / "m")


def test_train_and_test_files_swapped_are_named_by_their_checksums(tmp_path: Path) -> None:
    kmnist = publishing(KMNIST, swapped(write_four_files(tmp_path / "m")))
    with pytest.raises(DataError, match=r"holds t10k-images-idx3-ubyte.gz of Kuzushiji-MNIST.* the files are swapped"):
        _catalogued(kmnist, tmp_path / "m")


def test_published_checksums_need_no_other_proof(tmp_path: Path) -> None:
    kmnist = publishing(KMNIST, write_four_files(tmp_path / "m"))
    assert _catalogued(kmnist, tmp_path / "m").notes == ()


def test_repacked_files_with_the_right_counts_are_taken_with_a_word_of_caution(like_mnist: Path) -> None:
    [note] = load("mnist", data_dir=like_mnist).notes
    assert note == (
        "The checksums of the files are not the published ones, so only their counts per class say that they are MNIST."
    )


def test_parts_swapped_without_a_known_checksum_are_named_by_their_counts(tmp_path: Path, like_mnist: Path) -> None:
    for name, path in swapped({name: like_mnist / f"{name}.gz" for name in FOUR_FILES}).items():
        shutil.copy(path, tmp_path / f"{name}.gz")
    with pytest.raises(DataError, match="are swapped: the train part has 10,000 images and the test part 60,000"):
        load("mnist", data_dir=tmp_path)


def test_other_files_in_place_of_a_known_dataset_are_refused_with_a_way_to_use_them(tmp_path: Path) -> None:
    write_four_files(tmp_path / "m", train=(5,) * 10, test=(2,) * 10)
    with pytest.raises(DataError, match=r"are not MNIST's. To use them anyway, load them as idx:FOLDER"):
        load("mnist", data_dir=tmp_path / "m")


def test_a_folder_that_holds_fashion_mnist_is_known_by_its_contents(fashion_mnist_folder: Path, tmp_path: Path) -> None:
    for name in FOUR_FILES:  # unpacked, so that no checksum helps
        (tmp_path / name).write_bytes(gzip.decompress((fashion_mnist_folder / f"{name}.gz").read_bytes()))
    with pytest.raises(
        DataError, match=r"hold Fashion-MNIST, by their contents. MNIST was expected: load 'fashion-mnist'"
    ):
        load("mnist", data_dir=tmp_path)
    assert load("fashion-mnist", data_dir=tmp_path).notes == ()
    [note] = load(f"idx:{tmp_path}").notes
    assert note == f"These are Fashion-MNIST's files: `fashion-mnist` with --data-dir {tmp_path} names its classes too."


def test_fashion_mnist_is_the_one_with_the_fingerprints_of_the_table(fashion_mnist: Dataset) -> None:
    assert fashion_mnist.fingerprint == FASHION_MNIST.train_fingerprint
    assert fashion_mnist.test.fingerprint == FASHION_MNIST.test_fingerprint
