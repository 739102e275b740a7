"""Downloads the four files of a dataset, checked by their published checksums."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fittingroom.data.catalogue import FOUR_FILES, CatalogueEntry
from fittingroom.data.progress import Bar, progress_bar
from fittingroom.errors import DatasetNotFoundError

_ROUNDS = 3
_TIMEOUT = (5, 30)
"""Seconds to connect, and between two packets."""


def download(entry: CatalogueEntry, folder: Path, pause: float = 1.0) -> Mapping[str, Path]:
    """The four files of a dataset by their names in `FOUR_FILES`, downloaded unless the folder has them already.

    Each file is asked from each mirror in turn, in three rounds. A file with a wrong checksum is deleted. Progress goes
    to standard error if that is a terminal.

    Args:
        entry: the dataset; its mirrors and checksums are used.
        folder: exists, and can be written.
        pause: seconds before the second round; twice that before the third.

    Raises:
        DatasetNotFoundError: no mirror gave a file with the right checksum; the message has the reason of each.
    """
    with _quiet_pooch(), progress_bar(f"Downloading {entry.info.title}") as bar:
        return {name: _download_file(f"{name}.gz", entry, folder, bar, pause) for name in FOUR_FILES}


def _download_file(file: str, entry: CatalogueEntry, folder: Path, bar: Bar | None, pause: float) -> Path:
    import pooch

    reasons: dict[str, str] = {}
    for attempt in range(_ROUNDS):
        time.sleep(pause * attempt)
        for mirror in entry.mirrors:
            try:
                path = pooch.retrieve(
                    f"{mirror}{file}",
                    known_hash=f"md5:{entry.info.checksums[file]}",
                    fname=file,
                    path=folder,
                    downloader=pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16, timeout=_TIMEOUT),
                )
            except (ValueError, OSError) as error:  # every exception of requests is an OSError
                reasons[mirror] = _reason(error)
            else:
                return Path(path)
    listed = "; ".join(f"{mirror}: {reason}" for mirror, reason in reasons.items())
    raise DatasetNotFoundError(f"{file} of {entry.info.title} could not be downloaded ({listed}).")


def _reason(error: Exception) -> str:
    """One clause about a failure; requests' own messages are long and nested."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    # pooch says of a wrong checksum what was expected and what came, then that it deleted the file, then its advice.
    return str(error).replace(". Deleted download for safety", ", so the file was deleted").partition(". ")[0]


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keeps pooch from announcing each file on standard error."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
