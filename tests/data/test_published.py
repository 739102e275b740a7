from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from fittingroom.data.catalogue import FASHION_MNIST, FOUR_FILES, KMNIST, CatalogueEntry
from fittingroom.data.idx import FourFiles
from fittingroom.data.load import _catalogued, load
from fittingroom.errors import DatasetNotFoundError
from tests.data.builders import write_four_files

NOWHERE = ("http://127.0.0.1:9/",)  # the discard port: nobody answers


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CatalogueEntry:
    """A dataset of the table that can be had nowhere yet, with counts that small files can have."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return replace(
        FASHION_MNIST,
        train_counts=(30, 20, 10),
        test_counts=(6, 4, 2),
        classes=("a", "b", "c"),
        train_fingerprint=None,
        test_fingerprint=None,
        system_folder=tmp_path / "system",
        mirrors=NOWHERE,
    )


@pytest.mark.parametrize("name", FOUR_FILES)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_files_are_found_packed_or_not_and_with_a_dot_for_the_dash(tmp_path: Path, suffix: str, name: str) -> None:
    write_four_files(tmp_path, suffix=suffix)
    dotted = tmp_path / f"{name.replace('-idx', '.idx')}{suffix}"
    (tmp_path / f"{name}{suffix}").rename(dotted)
    found = FourFiles.in_folder(tmp_path)
    assert found is not None
    assert found.paths[name] == dotted


def test_a_folder_with_some_of_the_files_names_the_missing_ones(tmp_path: Path) -> None:
    write_four_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DatasetNotFoundError, match="only 3 of the four files; missing: t10k-labels-idx1-ubyte"):
        FourFiles.in_folder(tmp_path)


def test_data_dir_is_looked_into_and_its_folder_with_the_datasets_name_first(
    entry: CatalogueEntry, tmp_path: Path
) -> None:
    write_four_files(tmp_path / "d")
    assert _catalogued(entry, tmp_path / "d").source == f"folder {tmp_path / 'd'}"
    write_four_files(tmp_path / "d" / "fashion-mnist")
    assert _catalogued(entry, tmp_path / "d").source == f"folder {tmp_path / 'd' / 'fashion-mnist'}"


def test_a_data_dir_without_the_files_is_an_error_even_if_others_have_them(
    entry: CatalogueEntry, tmp_path: Path
) -> None:
    write_four_files(tmp_path / "system")
    with pytest.raises(
        DatasetNotFoundError, match="typo has no Fashion-MNIST; expected the four files train-images-idx3-ubyte, "
    ):
        _catalogued(entry, tmp_path / "typo")


def test_the_environments_folder_comes_before_the_systems(
    entry: CatalogueEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_four_files(tmp_path / "system")
    write_four_files(tmp_path / "d")
    monkeypatch.setenv("FITTINGROOM_DATA_DIR", str(tmp_path / "d"))
    assert _catalogued(entry, None).source == f"folder {tmp_path / 'd'}"


def test_an_environments_folder_without_the_dataset_is_passed_by_with_a_note(
    entry: CatalogueEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_four_files(tmp_path / "system")
    monkeypatch.setenv("FITTINGROOM_DATA_DIR", str(tmp_path / "d"))
    contents = _catalogued(entry, None)
    assert contents.source.startswith("Debian package dataset-fashion-mnist")
    assert f"FITTINGROOM_DATA_DIR is {tmp_path / 'd'}, which has no Fashion-MNIST; another copy is used." in (
        contents.notes
    )


def test_the_cache_serves_when_the_system_has_the_files_no_more(entry: CatalogueEntry, tmp_path: Path) -> None:
    files = write_four_files(tmp_path / "system")
    before = _catalogued(entry, None)
    for path in files.values():
        path.unlink()
    assert _catalogued(entry, None).fingerprint == before.fingerprint


def test_the_cache_is_made_again_when_a_source_file_changes(entry: CatalogueEntry, tmp_path: Path) -> None:
    files = write_four_files(tmp_path / "system")
    before = _catalogued(entry, None)
    path = files["train-images-idx3-ubyte"]
    path.write_bytes(write_four_files(tmp_path / "other", train=(30, 20, 10))["train-images-idx3-ubyte"].read_bytes())
    os.utime(path, ns=(0, 0))
    images = (tmp_path / "cache" / "datasets" / "fashion-mnist" / "images.npy").stat().st_mtime_ns
    assert _catalogued(entry, None).fingerprint == before.fingerprint
    assert (tmp_path / "cache" / "datasets" / "fashion-mnist" / "images.npy").stat().st_mtime_ns != images


def test_a_dataset_that_is_not_found_names_all_four_ways_to_get_it(entry: CatalogueEntry, tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError) as caught:
        _catalogued(entry, None)
    message = str(caught.value)
    for part in (
        "Fashion-MNIST was not found anywhere",
        "http://127.0.0.1:9/: no connection",
        "1. put the four files",
        "--data-dir or FITTINGROOM_DATA_DIR",
        f"2. copy the cache folder of a machine where fashion-mnist was loaded to {tmp_path / 'cache'}",
        "3. on Debian or Ubuntu: apt-get install dataset-fashion-mnist",
        "4. connect to the network",
    ):
        assert part in message


def test_a_dataset_without_a_system_package_has_three_ways_out(
    tmp_path: Path, entry: CatalogueEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"3. connect to the network") as caught:
        _catalogued(replace(KMNIST, mirrors=NOWHERE), None)
    assert "apt-get" not in str(caught.value)


def test_idx_needs_all_four_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match="has no IDX files; expected train-images-idx3-ubyte"):
        load(f"idx:{tmp_path}")
