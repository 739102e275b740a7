"""Finds the four files of a dataset of the MNIST form: in a folder, where a system package puts them, by download."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fittingroom.data.cache import cache_dir
from fittingroom.data.catalogue import FOUR_FILES, CatalogueEntry
from fittingroom.data.download import download
from fittingroom.errors import DatasetNotFoundError


@dataclass(frozen=True)
class FourFiles:
    """Where the four files are, by their names in `FOUR_FILES`, and in words."""

    paths: Mapping[str, Path]
    source: str


def in_folder(folder: Path) -> FourFiles | None:
    """The four files of a folder, packed or not; None if it has none of them.

    Raises:
        DatasetNotFoundError: it has some of the four only.
    """
    paths = {name: path for name in FOUR_FILES if (path := _variant(folder, name)) is not None}
    if paths and len(paths) < len(FOUR_FILES):
        missing = ", ".join(name for name in FOUR_FILES if name not in paths)
        raise DatasetNotFoundError(
            f"{folder} has only {len(paths)} of the four files; missing: {missing} (with or without .gz)."
        )
    return FourFiles(paths, f"folder {folder}") if paths else None


def _variant(folder: Path, name: str) -> Path | None:
    """The file under the names that it goes by; the packed one first, because its checksum is published."""
    dotted = name.replace("-idx", ".idx")
    candidates = (folder / variant for variant in (f"{name}.gz", name, f"{dotted}.gz", dotted))
    return next((path for path in candidates if path.is_file()), None)


def is_test_images(path: Path) -> bool:
    """Whether a file has the name of the test images among the four."""
    return path.name.replace(".idx", "-idx").removesuffix(".gz") == FOUR_FILES[2]


def in_data_folder(entry: CatalogueEntry, folder: Path) -> FourFiles | None:
    """The four files of a folder of the user's: in its sub-folder with the dataset's name, or in it; None if neither.

    Raises:
        DatasetNotFoundError: some of the four files are missing.
    """
    return in_folder(folder / entry.name) or in_folder(folder)


def in_system(entry: CatalogueEntry) -> FourFiles | None:
    """The four files where a package of the operating system puts them."""
    found = in_folder(entry.system_folder) if entry.system_folder else None
    return FourFiles(found.paths, f"Debian package {entry.system_package} ({entry.system_folder})") if found else None


@contextmanager
def by_download(entry: CatalogueEntry) -> Iterator[FourFiles]:
    """The four files, downloaded into our cache, or for the time being if the cache cannot be written.

    Raises:
        DatasetNotFoundError: they cannot be downloaded; the message names every way out.
    """
    with _download_folder(entry.name) as folder:
        try:
            paths = download(entry, folder)
        except DatasetNotFoundError as error:
            raise not_found(entry, str(error)) from error
        yield FourFiles(paths, f"download from {entry.mirrors[0]}")


@contextmanager
def _download_folder(name: str) -> Iterator[Path]:
    folder = cache_dir() / "downloads" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if writable:
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="fittingroom-") as temporary:
            yield Path(temporary)


def not_found(entry: CatalogueEntry, reason: str) -> DatasetNotFoundError:
    """The error that says where a dataset was looked for, and all the ways to get it."""
    ways = [
        f"put the four files ({', '.join(f'{name}.gz' for name in FOUR_FILES)}) into a folder and name it with "
        "--data-dir or FITTINGROOM_DATA_DIR",
        f"copy {cache_dir()} from a machine where {entry.name} was loaded",
    ]
    if entry.system_package:
        ways.append(f"on Debian or Ubuntu: apt-get install {entry.system_package}")
    ways.append(f"connect to the network (or set HTTPS_PROXY) and try again, so that it comes from {entry.mirrors[0]}")
    listed = "\n".join(f"  {number}. {way}" for number, way in enumerate(ways, 1))
    return DatasetNotFoundError(f"{entry.info.title} was found nowhere. {reason} Ways out:\n{listed}")
