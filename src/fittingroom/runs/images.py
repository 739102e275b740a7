"""The images of a run: some are kept with it, so that it works without its dataset.

`images-<hash>.npz`:

    validation         uint8, the validation images, as many as have 64 MB
    validation_labels  int32, theirs
    validation_index   int64, which of the validation images they are
    train              uint8, some training images, by which photos are converted and classes shown
    train_labels       int32, theirs
    train_counts       int64 (classes,), of the whole training part
    test_counts        int64 (classes,), of the test part
    whole              uint8, whether all validation images are there

It is not packed, since packing 5,000 images takes longer than an epoch. Its name has the hash of its bytes, and where a
folder beside the run has the same file, it becomes another link to that: a hundred runs keep their images once.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fittingroom.atomic import storage_errors, write_bytes
from fittingroom.runs.json_files import damage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fittingroom.data.dataset import Dataset, Part

PREFIX = "images-"

MOST_VALIDATION = 64 * 2**20
"""Bytes of validation images that are kept."""

MEASURED = 1_000
"""Training images by which photos are converted."""

_MOST_TRAINING = 16 * 2**20
_EXAMPLES = 8  # training images of each class that a page shows
_MOST_LINKED = 2_000  # folders beside a run that are asked for the same file

Counts = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class RunImages:
    """Images of a run's dataset.

    Args:
        validation: the validation images, or as many as are kept; None if there are none.
        index: which of the validation images they are, rising, `(n,)`.
        train: some training images: the first thousand or fewer, and at least eight of each class, or fewer.
        train_counts: images of each class in the whole training part.
        test_counts: images of each class in the test part.
        whole: whether all validation images are there.
    """

    validation: Part | None
    index: npt.NDArray[np.int64]
    train: Part
    train_counts: Counts
    test_counts: Counts
    whole: bool

    @classmethod
    def of(cls, dataset: Dataset, *, every: bool = False) -> RunImages:
        """The images of a dataset that a run keeps.

        Args:
            dataset: the run's.
            every: whether all validation images are wanted, however many there are.
        """
        import numpy as np

        from fittingroom.data.dataset import Part

        train, validation = dataset.train, dataset.validation
        size = max(int(np.prod(train.images.shape[1:])), 1)
        first = np.arange(min(MEASURED, len(train), max(_MOST_TRAINING // size, 1)))
        if dataset.name.startswith("folder:"):
            first = first[:0]  # whole pictures: photos are not made like them
        each = max(min(_EXAMPLES, _MOST_TRAINING // (size * len(dataset.classes))), 1)
        examples = [np.flatnonzero(train.labels == label)[:each] for label in range(len(dataset.classes))]
        # The first ones in front, since photos are converted by them.
        chosen = np.concatenate([first, np.setdiff1d(np.concatenate(examples), first)]).astype(np.int64)
        sample = Part(train.images[chosen], train.labels[chosen], train.classes, train.scale)
        index, whole = np.empty(0, np.int64), True
        if validation is not None:
            count = len(validation) if every else min(len(validation), max(MOST_VALIDATION // size, 1))
            whole = count == len(validation)
            index = np.linspace(0, len(validation) - 1, count).astype(np.int64)
            if not whole:
                images, labels = validation.images[index], validation.labels[index]
                validation = Part(images, labels, validation.classes, validation.scale)
        return cls(validation, index, sample, dataset.train.counts(), dataset.test.counts(), whole)

    @classmethod
    def read(cls, path: Path, classes: tuple[str, ...], scale: float) -> RunImages | None:
        """The images in a run's folder; None if it keeps none, as those of older versions.

        Args:
            path: the folder.
            classes: the names of the run's classes.
            scale: that of its images.

        Raises:
            RunError: the file is damaged.
        """
        file = next(iter(sorted(path.glob(f"{PREFIX}*.npz"))), None)
        if file is None:
            return None
        import numpy as np

        from fittingroom.data.dataset import Part
        from fittingroom.data.npz import NpzFile

        with damage(path, file.name):
            arrays = NpzFile(file)
            images, labels = arrays.read("validation"), arrays.read("validation_labels")
            index = arrays.read("validation_index")
            train, train_labels = arrays.read("train"), arrays.read("train_labels")
            counts = [tuple(arrays.read(f"{part}_counts").tolist()) for part in ("train", "test")]
            if (
                index.dtype != np.int64
                or index.shape != labels.shape
                or (np.diff(index) < 0).any()
                or (index < 0).any()
            ):
                raise ValueError("it must have the position of each validation image")
            if any(len(one) != len(classes) or not all(isinstance(n, int) and n >= 0 for n in one) for one in counts):
                raise ValueError(f"it must have a count for each of {len(classes)} classes")
            for one in (labels, train_labels):
                if len(one) and not 0 <= one.min() <= one.max() < len(classes):
                    raise ValueError(f"its labels are not of 0 to {len(classes) - 1}")
            validation = Part(images, labels, classes, scale) if len(labels) else None
            whole = bool(arrays.read("whole"))
            return cls(validation, index, Part(train, train_labels, classes, scale), counts[0], counts[1], whole)

    def write(self, folder: Path) -> None:
        """Keeps them in a run's folder, as a link to the same file in a folder beside it where there is one.

        Raises:
            StorageError: they cannot be written.
        """
        name = f"{PREFIX}{hashlib.blake2b(self.content, digest_size=8).hexdigest()}.npz"
        if not (folder / name).is_file():
            place_file(folder / name, self.content, _beside(folder))

    @staticmethod
    def are_too_many(dataset: Dataset) -> bool:
        """Whether a dataset has more validation images than a run keeps."""
        return dataset.validation is not None and dataset.validation.images.nbytes > MOST_VALIDATION

    @staticmethod
    def link(folder: Path, others: Iterable[Path]) -> None:
        """Makes the images of a run those of each of its seeds.

        Args:
            folder: the run's.
            others: those of its seeds.

        Raises:
            StorageError: they cannot be written.
        """
        for file in folder.glob(f"{PREFIX}*.npz"):
            for other in others:
                if not (other / file.name).is_file():
                    with storage_errors(other):
                        try:
                            os.link(file, other / file.name)
                        except OSError:
                            write_bytes(other / file.name, file.read_bytes())

    @cached_property
    def content(self) -> bytes:
        """The bytes of the file that stores them: equal images give equal bytes."""
        import numpy as np

        none = np.empty((0, *self.train.images.shape[1:]), np.uint8)
        stream = io.BytesIO()
        np.savez(
            stream,
            allow_pickle=False,
            validation=none if self.validation is None else self.validation.images,
            validation_labels=np.empty(0, np.int32) if self.validation is None else self.validation.labels,
            validation_index=self.index,
            train=self.train.images,
            train_labels=self.train.labels,
            train_counts=np.asarray(self.train_counts, np.int64),
            test_counts=np.asarray(self.test_counts, np.int64),
            whole=np.asarray(self.whole, np.uint8),
        )
        return stream.getvalue()


def place_file(path: Path, content: bytes, beside: Iterator[Path]) -> None:
    """Writes a file, or makes it a link to one of the same name and content.

    Args:
        path: the file.
        content: what it holds.
        beside: folders that may have it.

    Raises:
        StorageError: it cannot be written.
    """
    with suppress(OSError):  # of folders that vanish, and file systems without links
        for folder in itertools.islice(beside, _MOST_LINKED):
            other = folder / path.name
            if other.is_file() and not other.is_symlink():
                if other.read_bytes() == content:
                    os.link(other, path)
                    return
                break
    write_bytes(path, content)


def _beside(folder: Path) -> Iterator[Path]:
    """The folders that may have the same images: the one that this is in, and those in it."""
    yield folder.parent
    with os.scandir(folder.parent) as entries:
        for entry in entries:
            if entry.name != folder.name and entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)
