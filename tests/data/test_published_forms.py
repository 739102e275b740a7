"""MedMNIST's NPZ files and EMNIST's archive: found, downloaded, checked and read as their authors mean them."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fittingroom.data.catalogue import CATALOGUE, EMNIST_LETTERS, FOUR_FILES, CatalogueEntry
from fittingroom.data.load import _catalogued
from fittingroom.errors import DataError, DatasetNotFoundError
from tests.data.builders import idx_bytes, images, labels
from tests.data.test_download import serve

CLASSES = ("A", "B", "C")


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def published(entry: CatalogueEntry, content: bytes, *mirrors: str) -> CatalogueEntry:
    """A dataset whose only file has this content."""
    checksums = {entry.files[0]: hashlib.md5(content).hexdigest()}
    return replace(entry, mirrors=mirrors, info=replace(entry.info, checksums=checksums))


def med_npz(train: int = 24, validation: int = 9, test: int = 12, shape: tuple[int, ...] = (28, 28, 3)) -> bytes:
    """A file in the form of MedMNIST's: labels are a column of uint8."""
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in (("train", train), ("val", validation), ("test", test)):
        arrays[f"{part}_images"] = random.integers(0, 256, (count, *shape), np.uint8)
        arrays[f"{part}_labels"] = np.arange(count, dtype=np.uint8)[:, None] % 3
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def medical(content: bytes, *mirrors: str) -> CatalogueEntry:
    entry = replace(CATALOGUE["bloodmnist"], classes=CLASSES, sizes=(24, 9, 12))
    return published(entry, content, *mirrors)


def emnist_zip(first: int = 1, leave_out: str = "") -> bytes:
    """EMNIST's archive of packed IDX files, which has other sets than the letters, too."""
    arrays = {
        "train-images": images(30, seed=1),
        "train-labels": labels(10, 10, 10) + np.uint8(first),
        "test-images": images(6, seed=2),
        "test-labels": labels(2, 2, 2) + np.uint8(first),
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("gzip/emnist-digits-train-images-idx3-ubyte.gz", b"other")
        for name, array in arrays.items():
            file = f"emnist-letters-{name}-idx{3 if 'images' in name else 1}-ubyte.gz"
            if file != leave_out:
                archive.writestr(f"gzip/{file}", gzip.compress(idx_bytes(array), 1, mtime=0))
    return stream.getvalue()


def letters(content: bytes, *mirrors: str) -> CatalogueEntry:
    entry = replace(EMNIST_LETTERS, classes=CLASSES, train_counts=(10,) * 3, test_counts=(2,) * 3)
    return published(entry, content, *mirrors)


def test_a_medical_set_is_downloaded_with_the_validation_part_that_its_authors_cut(tmp_path: Path) -> None:
    content = med_npz()
    with serve({"bloodmnist.npz": content}) as mirror:
        entry = medical(content, mirror.address)
        contents = _catalogued(entry, None)
        assert contents.source == f"download from {mirror.address}"
    assert contents.images.shape == (33, 28, 28, 3)
    assert (contents.given_validation, len(contents.test_labels), contents.classes) == (9, 12, CLASSES)
    assert not [note for note in contents.notes if "checksum" in note]
    assert _catalogued(entry, None).fingerprint == contents.fingerprint


def test_a_medical_file_of_the_users_own_is_recognised(tmp_path: Path) -> None:
    content = med_npz()
    (tmp_path / "bloodmnist.npz").write_bytes(content)
    assert _catalogued(medical(content), tmp_path).source == f"folder {tmp_path}"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "bloodmnist.npz").write_bytes(content)
    repacked = _catalogued(medical(b"as published"), tmp_path / "other")
    assert any("only their numbers of images say that they are BloodMNIST" in note for note in repacked.notes)


def test_another_version_of_a_medical_set_is_refused_with_both_sizes(tmp_path: Path) -> None:
    (tmp_path / "bloodmnist.npz").write_bytes(med_npz(train=27))
    with pytest.raises(DataError, match="27 training, 9 validation and 12 test images, and BloodMNIST has 24 training"):
        _catalogued(medical(b"as published"), tmp_path)


def test_a_medical_set_of_another_shape_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bloodmnist.npz").write_bytes(med_npz(shape=(28, 28)))
    with pytest.raises(DataError, match=r"have the shape \(28, 28\), and BloodMNIST's have \(28, 28, 3\)"):
        _catalogued(medical(b"as published"), tmp_path)


def test_a_file_of_another_set_is_named_by_its_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = med_npz()
    path = published(CATALOGUE["pathmnist"], content)
    monkeypatch.setattr("fittingroom.data.published.CATALOGUE", {"pathmnist": path})
    (tmp_path / "bloodmnist.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"bloodmnist.npz is pathmnist.npz of PathMNIST, by its checksum"):
        _catalogued(medical(b"as published"), tmp_path)


def test_letters_come_upright_and_numbered_from_0_and_the_archive_does_not_stay(cache: Path) -> None:
    content = emnist_zip()
    with serve({"gzip.zip": content}) as mirror:
        contents = _catalogued(letters(content, mirror.address), None)
    np.testing.assert_array_equal(contents.images, images(30, seed=1).swapaxes(1, 2))
    np.testing.assert_array_equal(contents.test_labels, labels(2, 2, 2))
    assert contents.notes == ()
    kept = sorted(path.name for path in (cache / "downloads" / "emnist-letters").iterdir())
    assert kept == sorted(
        f"emnist-letters-{'test' if name.startswith('t10k') else 'train'}-{name.partition('-')[2]}.gz"
        for name in FOUR_FILES
    )


def test_letters_are_unpacked_again_where_that_was_interrupted(cache: Path) -> None:
    content = emnist_zip()
    folder = cache / "downloads" / "emnist-letters"
    folder.mkdir(parents=True)
    (folder / "emnist-letters-test-labels-idx1-ubyte.gz").write_bytes(b"half of one")
    with serve({"gzip.zip": content}) as mirror:
        assert len(_catalogued(letters(content, mirror.address), None).images) == 30


@pytest.mark.parametrize("unpacked", [False, True])
def test_letters_are_found_in_a_folder_as_archive_or_as_torchvision_unpacks_it(tmp_path: Path, unpacked: bool) -> None:
    content = emnist_zip()
    if unpacked:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(tmp_path)
    else:
        (tmp_path / "gzip.zip").write_bytes(content)
    contents = _catalogued(letters(content), tmp_path)
    assert (len(contents.images), len(contents.test_images)) == (30, 6)
    # Single files have no published checksum.
    assert bool([note for note in contents.notes if "numbers of images" in note]) is unpacked


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (emnist_zip(first=0), "has the label 0, but EMNIST numbers its letters from 1"),
        (emnist_zip(leave_out="emnist-letters-test-labels-idx1-ubyte.gz"), "has no file emnist-letters-test-labels"),
        (emnist_zip()[:-40], "is cut off or damaged"),
    ],
    ids=["zero", "missing", "cut"],
)
def test_an_archive_that_is_not_emnists_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "gzip.zip").write_bytes(content)
    with pytest.raises(DataError, match=says):
        _catalogued(letters(b"as published"), tmp_path)


@pytest.mark.parametrize(
    ("name", "file"), [("octmnist", "the file octmnist.npz"), ("emnist-letters", "EMNIST's gzip.zip, or its four")]
)
def test_what_is_missing_is_named(tmp_path: Path, name: str, file: str) -> None:
    with pytest.raises(DatasetNotFoundError, match=f"has no .*; expected {file}"):
        _catalogued(CATALOGUE[name], tmp_path)
    with pytest.raises(DatasetNotFoundError, match=f"1. put {file}"):
        _catalogued(replace(CATALOGUE[name], mirrors=("http://127.0.0.1:9/",)), None)
