"""Datasets that were uploaded: ZIP archives of class folders, unpacked into the studio's own place."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from fittingroom.atomic import storage_errors
from fittingroom.data.archive import unpack
from fittingroom.data.find import form_of
from fittingroom.serving.limits import RefusedError
from fittingroom.studio.studio import Studio

_PLACE = ".studio/data"
_LARGEST = 2 * 2**30


def uploaded_datasets(runs: Path) -> list[dict[str, str]]:
    """The datasets that were uploaded, by name: `name` and `place`, the path of each."""
    try:
        names = sorted(entry.name for entry in os.scandir(runs / _PLACE) if entry.is_dir())
    except OSError:
        return []
    return [{"name": name, "place": str((runs / _PLACE / name).absolute())} for name in names if name[:1] != "."]


async def receive_dataset(studio: Studio, chunks: AsyncIterator[bytes], called: str) -> dict[str, Any]:
    """Takes an archive as it arrives, and unpacks it.

    Args:
        studio: whose folder it goes into.
        chunks: of the archive.
        called: its name.

    Returns:
        `name` and `place` of the dataset, and `notes` about what was left out.

    Raises:
        RefusedError: 413, it is too large.
        DataError: it is not an archive of class folders, or a hostile one.
        StorageError: the disk is full.
    """
    parent = studio.folder / _PLACE
    with storage_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
    archive = parent / f".{secrets.token_hex(6)}.zip"
    try:
        with storage_errors(archive):
            size = 0
            with archive.open("xb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > _LARGEST:
                        raise RefusedError(
                            413,
                            "too_large",
                            f"The archive is larger than {_LARGEST // 2**30} GiB. Give its folder's path.",
                        )
                    file.write(chunk)
        return await run_in_threadpool(_unpacked, archive, parent, called[:200])
    finally:
        archive.unlink(missing_ok=True)


def _unpacked(archive: Path, parent: Path, called: str) -> dict[str, Any]:
    stem = re.sub(r"[^\w.+-]+", "-", Path(called).stem).strip("-.")[:60] or "upload"
    folder = next(path for number in range(1, 10_000) if not (path := parent / f"{stem}-{number}").exists())
    found = unpack(archive, folder, called=called)
    place = folder
    # Many archives hold one folder, which has the classes.
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if len(inside) == 1 and inside[0].is_dir() and any(path.is_dir() for path in inside[0].iterdir()):
        place = inside[0]
    form_of(place)
    return {"name": folder.name, "place": str(place.absolute()), "notes": list(found.notes)}
