from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fittingroom.data.cache import cache_dir
from fittingroom.data.catalogue import CATALOGUE, FOUR_FILES, CatalogueEntry
from fittingroom.data.load import load
from fittingroom.errors import UnknownNameError


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
def test_every_row_of_the_table_is_complete(row: CatalogueEntry) -> None:
    counted = () if row.sizes is None else row.classes
    assert len(row.train_counts or counted) == len(row.test_counts or counted) == len(row.classes) >= 2
    assert len(set(row.classes)) == len(row.classes)
    assert row.train_size > row.test_size > 0
    assert row.info.licence != "unknown"
    assert row.info.homepage.startswith("http")
    assert row.info.citation != "unknown"


@pytest.mark.parametrize("name", ["fashion-mnist", "mnist", "kmnist"])
def test_a_dataset_of_four_files_has_counts_checksums_and_mirrors(name: str) -> None:
    row = CATALOGUE[name]
    assert (sum(row.train_counts), sum(row.test_counts)) == (60_000, 10_000)
    assert list(row.info.checksums) == [f"{file}.gz" for file in FOUR_FILES]
    assert all(re.fullmatch("[0-9a-f]{32}", value) for value in row.info.checksums.values())
    assert row.mirrors[0].startswith("https://")
    assert all(mirror.endswith("/") for mirror in row.mirrors)


def test_no_two_files_of_the_table_have_the_same_checksum() -> None:
    values = [value for row in CATALOGUE.values() for value in row.info.checksums.values()]
    assert len(set(values)) == len(values)


def test_an_unknown_name_lists_the_known_ones_and_the_forms() -> None:
    with pytest.raises(UnknownNameError, match="fashion-mnist, mnist, kmnist, digits, emnist-letters, "):
        load("cifar")


def test_the_table_is_listed_without_numpy() -> None:
    code = "import sys\nimport fittingroom.data.catalogue\nprint('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


def test_the_cache_folder_is_the_chosen_one(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_dir() == cache
    assert not cache.exists()
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", "~/here")
    assert cache_dir() == Path.home() / "here"


def test_the_cache_folder_is_the_systems_if_none_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FITTINGROOM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir().is_relative_to(tmp_path)
    assert cache_dir().name == "fittingroom"
