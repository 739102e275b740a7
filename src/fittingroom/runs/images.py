"""The images of a run: some are kept with it, so that it works without its dataset, which is loaded again for others.

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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.atomic import expanded, storage_errors, write_bytes
from fittingroom.errors import FittingRoomError, RunError
from fittingroom.runs.json_files import damage
from fittingroom.runs.record import DataRecord

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
        sample = Part(np.asarray(train.images)[chosen], train.labels[chosen], train.classes, train.scale)
        index, whole = np.empty(0, np.int64), True
        if validation is not None:
            count = len(validation) if every else min(len(validation), max(MOST_VALIDATION // size, 1))
            whole = count == len(validation)
            index = np.linspace(0, len(validation) - 1, count).astype(np.int64)
            if not whole:
                images, labels = np.asarray(validation.images)[index], validation.labels[index]
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


def exceeds(dataset: Dataset) -> bool:
    """Whether a dataset has more validation images than a run keeps."""
    return dataset.validation is not None and dataset.validation.images.nbytes > MOST_VALIDATION


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


def link_images(folder: Path, others: Iterable[Path]) -> None:
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


def _beside(folder: Path) -> Iterator[Path]:
    """The folders that may have the same images: the one that this is in, and those in it."""
    yield folder.parent
    with os.scandir(folder.parent) as entries:
        for entry in entries:
            if entry.name != folder.name and entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)


def load_again(data: DataRecord, place: str | Dataset | None = None) -> Dataset:
    """The dataset that a run records, made sure to be the same.

    Args:
        data: what the run records.
        place: where it is now, as `load` takes it, or the dataset itself; None for where it was.

    Raises:
        RunError: the run was trained on plain arrays, or the data have changed since.
        DataError: the dataset cannot be loaded.
    """
    from fittingroom.data.dataset import Dataset

    if data.load is None:
        raise RunError(
            "This run was trained on plain arrays, so there is no sealed test set to open. Train on a dataset "
            "(fittingroom.load) to have one, or score arrays of your own with run.predict(images)."
        )
    try:
        dataset = place if isinstance(place, Dataset) else _loaded(data, place)
    except (TypeError, AttributeError) as error:
        raise RunError(f"run.json is damaged: its data cannot be loaded with {data.load!r}.") from error
    if not _is_same(dataset, data):
        raise RunError(
            f"The dataset {dataset.name} is not the one that this run was trained on"
            + (": its images or labels have changed since." if place is None else f", {data.name}.")
            + " Restore the old files (if they moved, --data DATASET names their place), or train again."
        )
    return dataset


def load_unasked(path: Path, data: DataRecord) -> Dataset:
    """The dataset of a run that keeps no images, for what nobody asked to open a dataset for: answers and pages.

    Runs of older versions keep none. A record may name any folder of this machine, which must not be decoded because a
    file from elsewhere says so: only what everybody has is loaded.

    Args:
        path: the run folder.
        data: what the run records.

    Raises:
        RunError: it is not to be loaded, or is not the same any more.
        DataError: it cannot be loaded.
    """
    from fittingroom.data.catalogue import CATALOGUE

    if data.load is not None and (data.name not in CATALOGUE or data.load.get("data_dir") is not None):
        raise RunError(
            f"{path} was trained by an older version, which stored no images, and {data.name} is not opened unasked. "
            "Name the dataset: --data DATASET, or run.use_data(DATASET)."
        )
    return load_again(data)


def _loaded(data: DataRecord, place: str | None) -> Dataset:
    """The dataset, a folder by today's rules or, where that gives another one, by those of the first versions.

    These named no size where none was asked for, so a run that has none was left behind by them.
    """
    from fittingroom.data.load import load

    arguments = _arguments(data.load or {}, place)
    if not data.name.startswith("folder:"):
        return load(**arguments)
    if arguments.get("image_size") is not None:
        dataset = load(**arguments)
        if _is_same(dataset, data):
            return dataset
    before = load(**arguments, first_rules=True)
    return before if arguments.get("image_size") is None or _is_same(before, data) else dataset


def _is_folder(place: str) -> bool:
    """Whether a place is a folder of pictures; what cannot be one is refused where it is loaded."""
    from fittingroom.data.find import form_of

    form, colon, _ = place.partition(":")
    if colon and form in {"idx", "npz", "csv", "folder"}:
        return form == "folder"
    try:
        return form_of(expanded(place)) == "folder"
    except FittingRoomError:
        return True


def _is_same(dataset: Dataset, data: DataRecord) -> bool:
    return (dataset.fingerprint, dataset.test.fingerprint) == (data.fingerprint, data.test_fingerprint)


def _arguments(stored: Mapping[str, Any], place: str | None) -> dict[str, Any]:
    from fittingroom.data.catalogue import CATALOGUE

    arguments = dict(stored)
    if place is not None:
        arguments |= {"name": place, "data_dir": None}
        if place in CATALOGUE or not _is_folder(place):
            arguments["image_size"] = None  # its images have a size
    if arguments.get("data_dir") is not None:
        arguments["data_dir"] = Path(arguments["data_dir"])
    if arguments.get("image_size") is not None:
        arguments["image_size"] = tuple(arguments["image_size"])
    return arguments
