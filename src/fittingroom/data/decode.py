"""Decodes the pictures of a folder, several at a time, into arrays of one size, which are files of the cache.

No more than a few pictures are in memory at any time. Their files are hashed first: the hashes decide which of them are
to test, so each image is written once, where it belongs.
"""

from __future__ import annotations

import math
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import TypeVar

import numpy as np

from fittingroom.bar import Bar
from fittingroom.data.cache import DatasetSource, cache_dir
from fittingroom.data.contents import Contents, RawDataset, RawPart
from fittingroom.data.dataset import Part
from fittingroom.data.folder import PictureFolder
from fittingroom.data.headers import PictureFile, median_size
from fittingroom.data.pictures import MOST_BYTES, MemoryBudget, Picture
from fittingroom.data.resizing import Resizing
from fittingroom.data.stored_images import ImageFile, machine_memory
from fittingroom.data.values import DIGEST_BYTES, Images, file_digest
from fittingroom.errors import DataError, StorageError
from fittingroom.text import amount

_SMALL = (28, 28)
"""For icons and drawings, and the size that every folder had before sizes were looked at."""

_PHOTOGRAPHS = (64, 64)
"""For photographs, of which 28x28 pixels show too little. What it costs stands in docs/measurements.md."""

_RESIZED = "resized"

_T = TypeVar("_T")
_F = TypeVar("_F")


def folder_source(
    root: Path, size: tuple[int, int] | None, resizing: Resizing, *, first_rules: bool = False
) -> DatasetSource:
    """A user's folder of pictures, which are resized to one size.

    Args:
        root: the folder.
        size: height and width; None for what suits the pictures, see `default_size`.
        resizing: how they become images of that size.
        first_rules: reads it as the first versions did; see `PictureFolder.scan`.

    Raises:
        DataError: the folder has no pictures in classes.
    """
    folder = PictureFolder.scan(root, first_rules=first_rules)
    height, width = size or (_SMALL if first_rules else default_size(folder.paths()))
    # The usual way of resizing is not named, so that what older versions cached is found.
    way = "".join(f" {value}" for value in resizing.arguments.values())
    name = f"{height}x{width}{way} {root}{' first rules' if first_rules else ''}"

    def read(draft: Path | None = None) -> Contents:
        return _raw(folder, Decoding(resizing, height, width, draft)).checked()

    return DatasetSource.of_files("folder", name, folder.paths(), read, read)


def all_pictures(root: Path, height: int, width: int, resizing: Resizing) -> tuple[Part, tuple[str, ...]]:
    """Every picture of a folder as an image with its class, none set aside, and sentences about what was changed.

    For a few pictures: they are decoded into memory, and not cached. One picture of a class is enough.

    Args:
        root: the folder, in one of the layouts that `PictureFolder` knows; all its parts are taken together.
        height: of the images.
        width: of the images.
        resizing: how pictures become images.

    Raises:
        DataError: the folder has no pictures in classes, a picture cannot be used, or there is no room for all.
    """
    folder = PictureFolder.scan(root)
    files = [file for part in folder.files.values() for file in part]
    pictures = UndecodedPictures(tuple(path for path, _ in files), (height, width))
    images, _, changes = Decoding(resizing, height, width, None).images(pictures, pictures[[]])
    labels = np.array([label for _, label in files], np.int32)
    names = tuple(_name(path.relative_to(folder.root)) for path, _ in files)
    return Part(images, labels, folder.classes, files=names), (*folder.notes, *changes)


def default_size(paths: Sequence[PictureFile]) -> tuple[int, int]:
    """Height and width for the pictures of a folder: 64x64 where the median picture has an edge of that, else 28x28.

    So no picture is enlarged much. Only the first bytes of up to 101 evenly spaced files are read, so the size is the
    same each time.
    """
    median = median_size(paths)
    return _PHOTOGRAPHS if median is not None and max(median) >= max(_PHOTOGRAPHS) else _SMALL


@dataclass(frozen=True, eq=False)
class UndecodedPictures:
    """Pictures that are not decoded yet, and what an array of their images would say of itself.

    Args:
        paths: of their files.
        size: height and width of the images.
    """

    paths: tuple[PictureFile, ...]
    size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, height, width)`."""
        return (len(self.paths), *self.size)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, mask: Iterable[bool]) -> UndecodedPictures:
        return UndecodedPictures(tuple(compress(self.paths, mask)), self.size)


def _raw(folder: PictureFolder, decoding: Decoding) -> RawDataset:
    """The pictures of a folder, hashed and not decoded.

    Raises:
        DataError: a picture cannot be read (all are tried, the first five are named).
    """
    parts = [folder.files.get(part, ()) for part in ("train", "validation", "test")]
    files = [file for part in parts for file in part]
    paths, size = tuple(path for path, _ in files), (decoding.height, decoding.width)
    labels = np.array([label for _, label in files], np.int32)
    hashed = list(each_of("Reading pictures", file_digest, paths))
    digests = np.frombuffer(b"".join(hashed), np.uint8).reshape(-1, DIGEST_BYTES)
    first_test = len(files) - len(parts[2])
    train, test = UndecodedPictures(paths[:first_test], size), UndecodedPictures(paths[first_test:], size)
    names = tuple(_name(path.relative_to(folder.root)) for path in paths)
    found = RawDataset(
        train=RawPart(train, labels[:first_test], digests[:first_test]),
        test=RawPart(test, labels[first_test:], digests[first_test:]) if parts[2] else None,
        source=f"folder {folder.root}",
        classes=folder.classes,
        notes=folder.notes,
        given_validation=len(parts[1]),
        resize_rule=decoding.resizing.rule,
        files=names[:first_test],
        test_files=names[first_test:],
        cut_by_source=not folder.first_rules,
        decode=decoding.images,
    )
    if not folder.first_rules:
        return found
    # The first versions cut by pixels, which must be there for it.
    images, test_images, changes = replace(decoding, draft=None).images(train, test)
    parts_of_arrays = replace(found.train, images=images), found.test and replace(found.test, images=test_images)
    return replace(
        found, train=parts_of_arrays[0], test=parts_of_arrays[1], notes=(*found.notes, *changes), decode=None
    )


@dataclass(frozen=True)
class Decoding:
    """How pictures become images, and where these are put.

    Args:
        resizing: how.
        height: of the images.
        width: of the images.
        draft: the folder that gets them, as `images.npy` and `test_images.npy`; None for memory.
    """

    resizing: Resizing
    height: int
    width: int
    draft: Path | None

    def images(self, train: UndecodedPictures, test: UndecodedPictures) -> tuple[Images, Images, tuple[str, ...]]:
        """The images of both parts, grey if every picture is grey all over, else RGB; and what was changed in them.

        Raises:
            DataError: a picture cannot be used (all are tried, the first five are named), or neither the disk nor the
                memory has room for the images.
            StorageError: the draft has no room for the images, or cannot be written.
        """
        paths = (*train.paths, *test.paths)
        channels = () if self.resizing.color_mode == "grayscale" else (3,)
        shape = self.height, self.width, *channels
        self._check_room(len(paths) * math.prod(shape))
        changes: Counter[str] = Counter()
        only_grey = True
        with (
            Picture.quiet(),
            ImageFile.new(self._place("images"), (len(train), *shape)) as images,
            ImageFile.new(self._place("test_images"), (len(test), *shape)) as test_images,
        ):
            for number, decoded in enumerate(each_of("Decoding pictures", self._decoder(), paths)):
                pixels, changed = decoded
                only_grey = only_grey and pixels.ndim == 2
                (images if number < len(train) else test_images).add(pixels)
                changes.update(changed)
            if channels and only_grey and self.resizing.color_mode == "auto":
                images.make_grey()
                test_images.make_grey()
        said = _say_changes(changes, self.resizing.verb, (self.height, self.width), median_size(paths))
        return images.array(), test_images.array(), tuple(said)

    def _decoder(self) -> Callable[[PictureFile], tuple[Images, tuple[str, ...]]]:
        """What makes an image of a picture file, and names what it changed."""
        budget, at_least = MemoryBudget(MOST_BYTES), self.resizing.at_least(self.height, self.width)

        def decode(path: PictureFile) -> tuple[Images, tuple[str, ...]]:
            picture = Picture.open(path, budget, at_least=at_least)
            resized = (_RESIZED,) if picture.image.size != (self.width, self.height) else ()
            return self.resizing.image(picture.image, self.height, self.width), (*picture.changes, *resized)

        return decode

    def _place(self, name: str) -> Path | None:
        return None if self.draft is None else self.draft / f"{name}.npy"

    def _check_room(self, needed: int) -> None:
        if self.draft is None:
            if needed > machine_memory() / 2:
                raise DataError(
                    f"the images of {self.height}x{self.width} pixels take {needed / 1e9:.1f} GB, for which neither "
                    f"the cache folder {cache_dir()} nor the memory has room. Set FITTINGROOM_CACHE_DIR to a folder on "
                    "a larger disk, or choose a smaller image size."
                )
            return
        free = shutil.disk_usage(self.draft).free
        if needed > free:
            raise StorageError(
                f"{self.draft.parent} has {free / 1e9:.1f} GB free, and the images take {needed / 1e9:.1f} GB."
            )


def each_of(title: str, work: Callable[[_F], _T], paths: Sequence[_F]) -> Iterator[_T]:
    """What work gives for each file, in order. Several files are worked on at once, and few results wait.

    Raises:
        DataError: the work raised one for a file. All others are tried all the same, and the first five errors named.
    """
    errors: list[DataError] = []

    def tried(path: _F) -> _T | DataError:
        try:
            return work(path)
        except DataError as error:
            return error

    threads = os.cpu_count() or 1
    # Pillow and hashes work without Python's lock, so threads use all cores.
    with Bar.shown(title) as bar, ThreadPoolExecutor(threads) as pool:
        if bar is not None:
            bar.total = len(paths)
        for result in _in_order(pool, tried, paths, ahead=8 * threads):
            if isinstance(result, DataError):
                errors.append(result)
            elif not errors:
                yield result
            if bar is not None:
                bar.update(1)
    if errors:
        more = f" And {len(errors) - 5:,} more." if len(errors) > 5 else ""
        raise DataError(" ".join(str(error) for error in errors[:5]) + more)


def _in_order(pool: ThreadPoolExecutor, work: Callable[[_F], _T], paths: Iterable[_F], *, ahead: int) -> Iterator[_T]:
    """The results in order, at most `ahead` of them begun ahead; at Ctrl-C those are cancelled."""
    begun: deque[Future[_T]] = deque()
    try:
        for path in paths:
            begun.append(pool.submit(work, path))
            if len(begun) == ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()


def _say_changes(changes: Counter[str], verb: str, size: tuple[int, int], median: tuple[int, int] | None) -> list[str]:
    """What was done to how many pictures; of a change of size, also from and to which."""
    resized = changes.pop(_RESIZED, 0)
    said = [f"{amount(count, 'picture')} {change}." for change, count in sorted(changes.items())]
    if resized:
        was = f"; the median picture was {median[0]}x{median[1]}" if median else ""
        said.append(
            f"{amount(resized, 'picture')} {verb} to {size[0]}x{size[1]} (height x width){was}. For another size, use "
            "--image-size N, or image_size= in Python."
        )
    return said


def _name(path: Path) -> str:
    """A path as text that can be written anywhere; bytes that are not UTF-8 are shown as numbers."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
