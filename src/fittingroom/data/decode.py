"""Decodes the pictures of a folder, several at a time, into arrays of one size."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fittingroom.atomic import open_file
from fittingroom.data.cache import DatasetSource
from fittingroom.data.contents import RawDataset, RawPart
from fittingroom.data.folder import PictureFolder
from fittingroom.data.headers import median_size
from fittingroom.data.pictures import MOST_BYTES, MemoryBudget, Picture
from fittingroom.data.resizing import Resizing
from fittingroom.data.sniff import LARGEST_ARRAY
from fittingroom.data.values import DIGEST_BYTES, Images
from fittingroom.errors import DataError
from fittingroom.progress import Bar
from fittingroom.text import amount

_SMALL = (28, 28)
"""For icons and drawings, and the size that every folder had before sizes were looked at."""

_PHOTOGRAPHS = (64, 64)
"""For photographs, of which 28x28 pixels show too little. What it costs stands in docs/measurements.md."""

_RESIZED = "resized"


@dataclass(frozen=True, eq=False)
class _Decoded:
    pixels: Images
    changes: tuple[str, ...]
    digest: bytes


def folder_source(
    root: Path, size: tuple[int, int] | None, resizing: Resizing, *, first_rules: bool = False
) -> DatasetSource:
    """A user's folder of pictures, which are resized to one size.

    Args:
        root: the folder.
        size: height and width; None for what suits the pictures, see `_default_size`.
        resizing: how they become images of that size.
        first_rules: reads it as the first versions did; see `PictureFolder.scan`.

    Raises:
        DataError: the folder has no pictures in classes.
    """
    folder = PictureFolder.scan(root, first_rules=first_rules)
    height, width = size or (_SMALL if first_rules else _default_size(folder.paths()))
    # The usual way of resizing is not named, so that what older versions cached is found.
    way = "".join(f" {value}" for value in resizing.arguments.values())
    name = f"{height}x{width}{way} {root}{' first rules' if first_rules else ''}"
    return DatasetSource.of_files(
        "folder", name, folder.paths(), lambda: _decode_folder(folder, height, width, resizing).checked()
    )


def _default_size(paths: Sequence[Path]) -> tuple[int, int]:
    """Height and width for the pictures of a folder: 64x64 where the median picture has an edge of that, else 28x28.

    So no picture is enlarged much. Only the first bytes of up to 101 evenly spaced files are read, so the size is the
    same each time.
    """
    median = median_size(paths)
    return _PHOTOGRAPHS if median is not None and max(median) >= max(_PHOTOGRAPHS) else _SMALL


def _decode_folder(folder: PictureFolder, height: int, width: int, resizing: Resizing) -> RawDataset:
    """The pictures of a folder at one size, all grey or all RGB.

    Raises:
        DataError: a picture cannot be used (all are tried, the first five are named), or all together are too large.
    """
    parts = [folder.files.get(part, ()) for part in ("train", "validation", "test")]
    files = [file for part in parts for file in part]
    if len(files) * height * width * 3 > LARGEST_ARRAY:
        raise DataError(
            f"{len(files):,} pictures of {height}×{width} take more than {LARGEST_ARRAY:,} bytes. "
            "Choose a smaller image size or use fewer pictures."
        )
    decoded = _decode_all([path for path, _ in files], height, width, resizing)
    images = _stack([one.pixels for one in decoded])
    labels = np.array([label for _, label in files], np.int32)
    digests = np.frombuffer(b"".join(one.digest for one in decoded), np.uint8).reshape(-1, DIGEST_BYTES)
    first_test = len(files) - len(parts[2])
    names = tuple(_name(path.relative_to(folder.root)) for path, _ in files)
    return RawDataset(
        train=RawPart(images[:first_test], labels[:first_test], digests[:first_test]),
        test=RawPart(images[first_test:], labels[first_test:], digests[first_test:]) if parts[2] else None,
        source=f"folder {folder.root}",
        classes=folder.classes,
        notes=(*folder.notes, *_say_changes(decoded, (height, width), median_size([path for path, _ in files]))),
        given_validation=len(parts[1]),
        resize_rule=resizing.rule,
        files=names[:first_test],
        test_files=names[first_test:],
        cut_by_source=not folder.first_rules,
    )


def _decode_all(paths: Sequence[Path], height: int, width: int, resizing: Resizing) -> list[_Decoded]:
    budget, at_least = MemoryBudget(MOST_BYTES), resizing.at_least(height, width)

    def decode(path: Path) -> _Decoded | DataError:
        try:
            picture = Picture.open(path, budget, at_least=at_least)
        except DataError as error:
            return error
        # Errors are returned, so that one bad picture does not hide the next: the first five are named together.
        resized = (_RESIZED,) if picture.image.size != (width, height) else ()
        changes = (*picture.changes, *resized)
        return _Decoded(resizing.image(picture.image, height, width), changes, _digest(path))

    done: list[_Decoded] = []
    errors: list[DataError] = []
    # Pillow decodes without Python's lock, so threads use all cores.
    with (
        Picture.quiet(),
        Bar.shown("Reading pictures") as bar,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        _cancelled_at_exit([pool.submit(decode, path) for path in paths]) as results,
    ):
        if bar is not None:
            bar.total = len(paths)
        for result in results:
            if isinstance(result, DataError):
                errors.append(result)
            else:
                done.append(result)
            if bar is not None:
                bar.update(1)
    if errors:
        more = f" And {len(errors) - 5:,} more." if len(errors) > 5 else ""
        raise DataError(" ".join(str(error) for error in errors[:5]) + more)
    return done


def _digest(path: Path) -> bytes:
    """A hash of a file's bytes."""
    with open_file(path) as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).digest()


def _stack(arrays: Sequence[Images]) -> Images:
    """All pictures in one array; grey ones get three channels if there is a coloured one."""
    if all(array.ndim == 2 for array in arrays):
        return np.stack(arrays)
    height, width = arrays[0].shape[:2]
    stacked = np.empty((len(arrays), height, width, 3), np.uint8)
    for row, array in zip(stacked, arrays, strict=True):
        row[:] = array if array.ndim == 3 else array[..., None]
    return stacked


def _name(path: Path) -> str:
    """A path as text that can be written anywhere; bytes that are not UTF-8 are shown as numbers."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _say_changes(decoded: Iterable[_Decoded], size: tuple[int, int], median: tuple[int, int] | None) -> list[str]:
    """What was done to how many pictures; of a change of size, also from and to which."""
    changes = Counter(change for one in decoded for change in one.changes)
    resized = changes.pop(_RESIZED, 0)
    said = [f"{amount(count, 'picture')} {change}." for change, count in sorted(changes.items())]
    if resized:
        was = f"; the median picture was {median[0]}x{median[1]}" if median else ""
        said.append(
            f"{amount(resized, 'picture')} resized to {size[0]}x{size[1]} (height x width){was}. For another size, use "
            "--image-size N, or image_size= in Python."
        )
    return said


@contextmanager
def _cancelled_at_exit(futures: Sequence[Future[_Decoded | DataError]]) -> Iterator[Iterator[_Decoded | DataError]]:
    """The results in order; at Ctrl-C, those that have not started are cancelled."""
    try:
        yield (future.result() for future in futures)
    finally:
        for future in futures:
            future.cancel()
